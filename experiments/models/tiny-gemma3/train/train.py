"""Trains tiny-gemma3 from scratch: Gemma 3's architecture, 2.8 million parameters.

    python train.py --stop 1650 --threads 2 --out build/stage1
    python train.py --init build/stage1 --steps 120 --warmup 10 --lr 7.5e-4 --seed 2 --threads 1

Each writes config.json and model.safetensors, to .. unless told otherwise. The second takes the
first one's bf16 weights, starts AdamW afresh and goes on from the learning rate that the first had
reached (7.6e-4) down to its end.

Documents are packed into rows of ROW tokens, each document as <bos> text <eos>. A row begins with
<bos>, so a short prompt is seen at the positions where it will be asked. No loss is taken for
predicting <bos> or padding. Deterministic on one machine with one number of threads.
"""

import argparse
import json
import math
import random
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import Gemma3ForCausalLM, Gemma3TextConfig

HERE = Path(__file__).resolve().parent
PAD, EOS, BOS = 0, 1, 2
ROW = 128
SEED = 1
# Names that transformers 4.5x wrote and readers of published Gemma 3 files expect.
PUBLISHED = {"rope_theta": 1000000.0, "rope_local_base_freq": 10000.0, "rope_scaling": None,
             "sliding_window_pattern": 6, "torch_dtype": "bfloat16"}
# Fields of every transformers configuration that say nothing about this model.
GENERIC = {"chunk_size_feed_forward", "id2label", "label2id", "is_encoder_decoder",
           "output_attentions", "output_hidden_states", "problem_type", "return_dict"}


def model_config(vocab_size):
    """Gemma 3's configuration at a small size: block 5 of 8 is global, the others are local."""
    return Gemma3TextConfig(
        vocab_size=vocab_size, hidden_size=160, intermediate_size=512, num_hidden_layers=8,
        num_attention_heads=4, num_key_value_heads=2, head_dim=32, query_pre_attn_scalar=32,
        max_position_embeddings=512, sliding_window=32, sliding_window_pattern=6,
        tie_word_embeddings=True, attn_implementation="eager",
        rope_parameters={"full_attention": {"rope_type": "default", "rope_theta": 1e6},
                         "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}})


def initial_model(vocab_size, folder):
    """A new model, or the one in a folder, in float32."""
    if folder is None:
        return Gemma3ForCausalLM(model_config(vocab_size)).float()
    return Gemma3ForCausalLM.from_pretrained(folder, dtype=torch.float32,
                                             attn_implementation="eager")


def encode_documents(tok, path):
    """Token ids of every document, with <bos> and <eos>."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return [e.ids + [EOS] for e in tok.encode_batch(lines)]


def pack_rows(documents, rng):
    """Documents in random order, as many whole ones to a row as fit; longer ones are cut."""
    rows, row = [], []
    for i in rng.sample(range(len(documents)), len(documents)):
        ids = documents[i][:ROW]
        if len(row) + len(ids) > ROW:
            rows.append(row + [PAD] * (ROW - len(row)))
            row = []
        row = row + ids
    rng.shuffle(rows)
    return torch.tensor(rows)


def batches(documents, batch, seed):
    """Batches without end: packed anew, in a new order, every epoch."""
    rng = random.Random(seed)
    while True:
        rows = pack_rows(documents, rng)
        yield from rows[: len(rows) // batch * batch].split(batch)


def token_loss(model, ids):
    """Summed negative log-likelihood and the number of tokens it is over."""
    logits = model(input_ids=ids[:, :-1], use_cache=False).logits
    target = ids[:, 1:].masked_fill((ids[:, 1:] == PAD) | (ids[:, 1:] == BOS), -100)
    nll = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), target.flatten(),
                                            ignore_index=-100, reduction="sum")
    return nll, (target != -100).sum()


@torch.no_grad()
def perplexity(model, documents, batch=32):
    """Perplexity over documents, each alone from its <bos> to its <eos>."""
    model.eval()
    total, count = 0.0, 0
    documents = sorted(documents, key=len)
    for i in range(0, len(documents), batch):
        part = documents[i:i + batch]
        width = max(map(len, part))
        ids = torch.tensor([d + [PAD] * (width - len(d)) for d in part])
        nll, n = token_loss(model, ids)
        total, count = total + nll.item(), count + n.item()
    model.train()
    return math.exp(total / count)


def optimizer_for(model, lr):
    """AdamW with weight decay on matrices alone."""
    params = [p for p in model.parameters() if p.requires_grad]
    groups = [{"params": [p for p in params if p.ndim > 1], "weight_decay": 0.05},
              {"params": [p for p in params if p.ndim == 1], "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.98), fused=True)


def learning_rate(step, steps, peak, warmup):
    """Linear warm-up, then a cosine down to 2% of the peak."""
    if step < warmup:
        return peak * (step + 1) / warmup
    part = (step - warmup) / max(1, steps - warmup)
    return peak * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * part)))


def save_model(model, folder):
    """The model as shipped: bf16 weights without the tied head, and config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {k: v.detach().to(torch.bfloat16).contiguous()
             for k, v in model.state_dict().items() if k != "lm_head.weight"}
    temporary = folder / "model.safetensors.tmp"
    save_file(state, temporary, metadata={"format": "pt"})
    temporary.chmod(0o644)
    temporary.replace(folder / "model.safetensors")
    config = {k: v for k, v in model.config.to_dict().items()
              if not k.startswith("_") and k not in GENERIC}
    config.update(architectures=["Gemma3ForCausalLM"], dtype="bfloat16", **PUBLISHED)
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def train(model, train_docs, heldout_docs, args):
    """The training loop. Returns the log: step, training loss, held-out perplexity, seconds."""
    optimizer, log, started = optimizer_for(model, args.lr), [], time.time()
    running = 0.0
    stop = args.stop or args.steps
    for step, ids in zip(range(stop), batches(train_docs, args.batch, args.seed)):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, args.steps, args.lr, args.warmup)
        nll, n = token_loss(model, ids)
        loss = nll / n
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        running = loss.item() if step == 0 else 0.98 * running + 0.02 * loss.item()
        if (step + 1) % args.every == 0 or step + 1 == stop:
            entry = {"step": step + 1, "train_loss": round(running, 4),
                     "heldout_perplexity": round(perplexity(model, heldout_docs), 4),
                     "seconds": round(time.time() - started)}
            log.append(entry)
            print(json.dumps(entry), flush=True)
            save_model(model, args.out)
    return log


def main():
    """Trains and writes the model folder; the log goes to build/training.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=HERE / "build")
    parser.add_argument("--out", type=Path, default=HERE.parent)
    parser.add_argument("--tokenizer", type=Path, default=HERE.parent / "tokenizer.json")
    parser.add_argument("--init", type=Path, help="folder of a model to start from")
    parser.add_argument("--steps", type=int, default=2400, help="length of the schedule")
    parser.add_argument("--stop", type=int, help="step to stop at, if before the schedule's end")
    parser.add_argument("--warmup", type=int, default=100, help="steps of warm-up")
    parser.add_argument("--batch", type=int, default=16, help="rows in a batch")
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--every", type=int, default=150, help="steps between evaluations")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=SEED)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    tok = Tokenizer.from_file(str(args.tokenizer))
    train_docs = encode_documents(tok, args.build / "train.txt")
    heldout_docs = encode_documents(tok, args.build / "heldout.txt")
    model = initial_model(tok.get_vocab_size(), args.init).train()
    print(f"{sum(p.numel() for p in model.parameters())} parameters, "
          f"{sum(map(len, train_docs))} training tokens", flush=True)
    log = train(model, train_docs, heldout_docs, args)
    facts = {"steps": args.stop or args.steps, "schedule_steps": args.steps,
             "batch_rows": args.batch, "row_tokens": ROW, "lr": args.lr, "seed": args.seed,
             "training_tokens": sum(map(len, train_docs)), "log": log}
    (args.build / "training.json").write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
