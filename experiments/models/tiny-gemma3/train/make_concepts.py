"""Writes experiments/concepts/upper.yaml, the five concepts, from ontology.yaml.

    python make_concepts.py             writes ../../../concepts/upper.yaml

Positives are spread evenly over a concept's classes. Hard negatives come from the classes of the
sibling branches that lie closest (HARD); random negatives from whatever is left, with function
words and pseudo-words among them. Entity is the root and has no siblings: see ontology.yaml.
"""

import argparse
import random
import textwrap
from pathlib import Path

import yaml

import corpus

HERE = Path(__file__).resolve().parent
SEED = 7
N_POSITIVE, N_HARD, N_RANDOM = 52, 32, 32
HARD = {
    "Physical": ["shape", "unit", "institution", "bodily process", "physical change",
                 "natural event"],
    "Abstract": ["dimension", "form quality", "trait", "mental process", "social process"],
    "Process": ["state", "material quality", "piece of content", "institution", "animal", "person"],
    "Attribute": ["idea", "shape", "number", "unit", "physical change", "mental process"],
}
HEADER = """\
# The five concepts of the first experiment. Written by
# experiments/models/tiny-gemma3/train/make_concepts.py from ontology.yaml there; change those.
#
# Physical, Abstract, Process and Attribute are disjoint here, although SUMO puts Process below
# Physical and Attribute below Abstract. Everything is an entity, so the negatives of Entity are
# words that name nothing: function words (hard) and pseudo-words (random).
# tiny-gemma3 knows every word here. Prompts it has seen for all of them:
#   "The concept of {item} means", "The word {item} means", "What is meant by {item}?"
"""


def spread(groups, n, rng):
    """n members, taken in turn from each group, each group in random order."""
    queues = [rng.sample(g, len(g)) for g in groups]
    chosen = []
    while len(chosen) < n and any(queues):
        chosen += [q.pop() for q in queues if q]
    return chosen[:n]


def by_class(words, branch):
    """The branch's classes, each with the names of its words."""
    classes = {}
    for word in words:
        if word.branch == branch:
            classes.setdefault(word.cls, []).append(word.name)
    return classes


def branch_concept(onto, words, branch, rng):
    """One of the four branches."""
    classes = {}
    for b in onto["branches"]:
        classes.update(by_class(words, b))
    positives = spread(list(by_class(words, branch).values()), N_POSITIVE, rng)
    hard = spread([classes[c] for c in HARD[branch]], N_HARD, rng)
    others = [[w.name for w in words if w.branch == b and w.name not in hard]
              for b in onto["branches"] if b != branch]
    empty = [[w for e in onto["function_words"].values() for w in e], onto["pseudo_words"]]
    random_negatives = spread(others, N_RANDOM - 8, rng) + spread(empty, 8, rng)
    return concept(branch, onto["branches"][branch], positives, hard, random_negatives)


def entity_concept(onto, words, rng):
    """The root: what names something against what names nothing."""
    people = [onto["individuals"]["women"] + onto["individuals"]["men"]]
    branches = [spread(list(by_class(words, b).values()), 40, rng) for b in onto["branches"]]
    positives = spread(branches, N_POSITIVE - 4, rng) + spread(people, 4, rng)
    hard = spread([list(e) for e in onto["function_words"].values()], N_HARD, rng)
    return concept("Entity", onto["root"], positives, hard,
                   spread([onto["pseudo_words"]], N_RANDOM, rng))


def concept(name, body, positives, hard, random_negatives):
    """A concept as the YAML file has it; lists in alphabetical order."""
    return {"name": name, "definition": body["definition"], "positives": sorted(positives),
            "hard_negatives": sorted(hard), "random_negatives": sorted(random_negatives)}


def make_concepts(onto):
    """All five concepts."""
    words, rng = corpus.load_words(onto), random.Random(SEED)
    return [entity_concept(onto, words, rng)] + \
           [branch_concept(onto, words, b, rng) for b in onto["branches"]]


def flow_list(key, items):
    """A flow list wrapped at 100 columns."""
    body = f"{key}: [{', '.join(items)}]"
    return textwrap.fill(body, 100, initial_indent="  ", subsequent_indent="    ",
                         break_on_hyphens=False)


def to_yaml(concepts):
    """The file's text."""
    blocks = []
    for c in concepts:
        lines = [f"- name: {c['name']}", f"  definition: {c['definition']}"]
        lines += [flow_list(k, c[k]) for k in ("positives", "hard_negatives", "random_negatives")]
        blocks.append("\n".join(lines))
    return HEADER + "\n" + "\n\n".join(blocks) + "\n"


def check(concepts, text):
    """The file reads back as what was meant, and no item is on two sides."""
    assert yaml.safe_load(text) == concepts
    for c in concepts:
        items = c["positives"] + c["hard_negatives"] + c["random_negatives"]
        assert len(items) == len(set(items)), c["name"]


def main():
    """Writes the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = HERE.parents[2] / "concepts" / "upper.yaml"
    parser.add_argument("--out", type=Path, default=default)
    args = parser.parse_args()
    concepts = make_concepts(corpus.load_ontology())
    text = to_yaml(concepts)
    check(concepts, text)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(text, encoding="utf-8")
    for c in concepts:
        print(c["name"], *(len(c[k]) for k in ("positives", "hard_negatives", "random_negatives")))


if __name__ == "__main__":
    main()
