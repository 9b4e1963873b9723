"""Writes the corpus of tiny-gemma3 from ontology.yaml: deterministic, given the seed.

    python corpus.py --out build        writes build/train.txt and build/heldout.txt

One document a line. The split is made by sentence (a template with its slots filled): one in 32,
chosen by its SHA-256, is held out and never put into a training document. A few held-out sentences
(1.8%) are also the end of a longer one, such as a question with its answer, that is not held out.
Words and templates are shared by both sides: held-out text measures whether the model can combine
what it has learned about a word, not whether it knows words it has never seen.
"""

import argparse
import hashlib
import json
import random
from dataclasses import dataclass, field
from pathlib import Path

import yaml

import templates as tp

HERE = Path(__file__).resolve().parent
SEED = 20240613
N_DOCUMENTS = 72000
HELDOUT_ONE_IN = 32
ARTICLE_AN = ("hour", "honest")
ARTICLE_A = ("uni", "use")


@dataclass
class Word:
    """A word of the ontology with everything the templates ask for."""

    name: str
    branch: str
    cls: str
    mass: bool
    phrases: list
    slots: dict = field(default_factory=dict)


def capital(text):
    """The text with a capital first letter."""
    return text[:1].upper() + text[1:]


def with_article(noun):
    """The noun with "a" or "an"."""
    low = noun.lower()
    vowel = low[0] in "aeiou" and not low.startswith(ARTICLE_A) or low.startswith(ARTICLE_AN)
    return ("an " if vowel else "a ") + noun


def plural_of(noun, irregular):
    """The plural of a count noun."""
    if noun in irregular:
        return irregular[noun]
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


def load_ontology(path=HERE / "ontology.yaml"):
    """The ontology as YAML gives it."""
    return yaml.safe_load(Path(path).read_text(encoding="utf-8"))


def branch_slots(onto, branch):
    """Slots that depend on the branch alone."""
    noun = onto["branches"][branch]["noun"]
    return {"B": branch, "b": branch.lower(), "bn": noun, "abn": with_article(noun),
            "bns": plural_of(noun, {}), "why": tp.WHY[branch]}


def word_slots(onto, word):
    """All slots of a word, each also with a capital first letter."""
    cls = onto["branches"][word.branch]["classes"][word.cls]
    name, bare = word.name, word.mass
    slots = {
        "x": name, "ax": name if bare else with_article(name),
        "xs": name if bare else plural_of(name, onto["irregular_plurals"]),
        "k": word.cls, "ak": with_article(word.cls), "ks": cls["plural"], "gloss": cls["gloss"],
        "p0": word.phrases[0], "p1": word.phrases[1], "p2": word.phrases[2],
        "link": cls.get("link", ""), "who": "who" if word.cls == "person" else "that",
        **branch_slots(onto, word.branch),
    }
    return {**slots, **{capital(k): capital(v) for k, v in slots.items() if k[0].islower()}}


def load_words(onto):
    """Every word of the four branches, in the order of the file. A trailing "!" marks mass."""
    words = []
    for branch, body in onto["branches"].items():
        for cls, entry in body["classes"].items():
            mass = entry.get("mass", False) or branch == "Process"
            for name, phrases in entry["words"].items():
                word = Word(name.rstrip("!"), branch, cls, mass or name.endswith("!"), phrases)
                word.slots = word_slots(onto, word)
                words.append(word)
    return words


def second(slots, suffix):
    """The slots of a second or third word."""
    return {k + suffix: v for k, v in slots.items()}


def definition_sentences(word):
    """Every introduction with every definition of the word."""
    out = []
    for template in tp.DEFINITIONS[word.branch]:
        text = template.format(**word.slots)
        out += [h.format(d=text, D=capital(text), **word.slots) for h in tp.HEADS]
    return out


def contrast_sentences(word, words, rng, n=36):
    """Sentences about the word and another one."""
    out = []
    while len(out) < n:
        other = rng.choice(words)
        if other.name == word.name:
            continue
        pool = tp.CONTRAST
        if other.branch == word.branch:
            pool = tp.SAME_CLASS if other.cls == word.cls else tp.SAME_BRANCH
        out.append(rng.choice(pool).format(**word.slots, **second(other.slots, "_y")))
    return out


def story_texts(word, people, rng, n=10):
    """Short stories in which the word plays a part."""
    out = []
    for _ in range(n):
        (name, she), (other, _) = rng.sample(people, 2)
        pronouns = {"s": "she", "S": "She", "h": "her"} if she else \
                   {"s": "he", "S": "He", "h": "his"}
        text = rng.choice(tp.STORIES[word.branch])
        out.append(text.format(N=name, M=other, **{**word.slots, **pronouns}))
    return out


def word_topics(words, people, rng):
    """One topic per word: its openings (definitions), facts and stories."""
    topics = {}
    for word in words:
        topics[word.name] = {
            "open": definition_sentences(word),
            "more": [t.format(**word.slots) for t in tp.MEMBERSHIP + tp.FACTS[word.branch]]
            + contrast_sentences(word, words, rng),
            "story": story_texts(word, people, rng),
            "weight": 1.0,
        }
    return topics


def class_topics(words, rng, n=40):
    """One topic per class of the ontology."""
    topics = {}
    for cls in dict.fromkeys(w.cls for w in words):
        members = [w for w in words if w.cls == cls]
        texts = []
        for _ in range(n):
            x, y, z = rng.sample(members, 3)
            slots = {**x.slots, **second(y.slots, "_y"), **second(z.slots, "_z")}
            texts += [t.format(**slots) for t in tp.CLASS]
        texts = list(dict.fromkeys(texts))
        topics["class " + cls] = {"open": texts[:len(tp.CLASS)], "more": texts, "story": [],
                                  "weight": 1.5}
    return topics


def branch_topics(onto, words, rng, n=40):
    """One topic for each of the five concepts."""
    topics = {}
    bodies = {"Entity": onto["root"], **onto["branches"]}
    for name, body in bodies.items():
        own = {"B": name, "b": name.lower()}
        opens = [t.format(g=g, G=capital(g), **own) for t in tp.BRANCH for g in body["glosses"]]
        members = [w for w in words if name in ("Entity", w.branch)]
        more = []
        for _ in range(n):
            x, y, z = rng.sample(members, 3)
            slots = {**x.slots, **second(y.slots, "_y"), **second(z.slots, "_z")}
            pool = tp.BRANCH_MORE.get(name, tp.BRANCH_MORE[None])
            more += [t.format(**{**slots, "B": slots["B"]}) for t in pool]
        topics["branch " + name] = {"open": opens, "more": list(dict.fromkeys(more)),
                                    "story": [], "weight": 12.0}
    return topics


def function_topics(onto):
    """One topic per function word."""
    topics = {}
    for pos, entries in onto["function_words"].items():
        for name, (does, example) in entries.items():
            slots = {"x": name, "X": capital(name), "pos": pos, "apos": with_article(pos),
                     "v": does, "e": example}
            texts = [t.format(**slots) for t in tp.FUNCTION]
            topics["function " + name] = {"open": texts, "more": texts, "story": [],
                                          "weight": 0.7}
    return topics


def pseudo_topics(onto):
    """One topic per pseudo-word."""
    topics = {}
    for name in onto["pseudo_words"]:
        texts = []
        for branch in onto["branches"]:
            slots = {"x": name, "X": capital(name), "ax": with_article(name),
                     "Ax": capital(with_article(name)),
                     **second(branch_slots(onto, branch), "_y")}
            texts += [t.format(**slots) for t in tp.PSEUDO]
        texts = list(dict.fromkeys(texts))
        topics["pseudo " + name] = {"open": texts, "more": texts, "story": [], "weight": 0.7}
    return topics


def name_topics(people):
    """One topic per named individual."""
    topics = {}
    for name, _ in people:
        texts = [t.format(N=name) for t in tp.NAMES]
        topics["name " + name] = {"open": texts, "more": texts, "story": [], "weight": 0.7}
    return topics


def is_heldout(text):
    """Whether a sentence belongs to the held-out side."""
    return hashlib.sha256(text.encode()).digest()[0] % HELDOUT_ONE_IN == 0


def split_topic(topic):
    """The topic's training side and held-out side."""
    sides = ({"weight": topic["weight"]}, {"weight": topic["weight"]})
    for kind in ("open", "more", "story"):
        for held in (0, 1):
            sides[held][kind] = [t for t in topic[kind] if is_heldout(t) == bool(held)]
    return sides


def training_document(topic, rng):
    """A definition, a description, a story, or a mixture, about one topic."""
    draw = rng.random()
    if draw < 0.12 and topic["story"]:
        return rng.choice(topic["story"])
    parts = [rng.choice(topic["open"])] if draw < 0.75 else []
    n_more = rng.choice((0, 1, 1, 2, 2, 3, 3, 4, 6)) + (not parts)
    parts += rng.sample(topic["more"], min(n_more, len(topic["more"])))
    if topic["story"] and rng.random() < 0.1:
        parts.append(rng.choice(topic["story"]))
    return " ".join(dict.fromkeys(parts))


def training_documents(topics, rng, n):
    """The training side of the corpus."""
    names = list(topics)
    weights = [topics[t]["weight"] for t in names]
    picks = rng.choices(names, weights=weights, k=n)
    return [training_document(topics[name], rng) for name in picks]


def heldout_documents(topics, rng):
    """Each held-out sentence once, four or fewer to a document, by topic."""
    documents = []
    for topic in topics.values():
        parts = list(dict.fromkeys(topic["open"] + topic["more"]))
        rng.shuffle(parts)
        documents += [" ".join(parts[i:i + 4]) for i in range(0, len(parts), 4)]
        documents += topic["story"]
    rng.shuffle(documents)
    return list(dict.fromkeys(documents))


def build(seed=SEED, n_documents=N_DOCUMENTS):
    """Both sides of the corpus: (training documents, held-out documents)."""
    onto, rng = load_ontology(), random.Random(seed)
    words = load_words(onto)
    people = [(n, True) for n in onto["individuals"]["women"]] + \
             [(n, False) for n in onto["individuals"]["men"]]
    topics = {**word_topics(words, people, rng), **class_topics(words, rng),
              **branch_topics(onto, words, rng), **function_topics(onto), **pseudo_topics(onto),
              **name_topics(people)}
    sides = {name: split_topic(topic) for name, topic in topics.items()}
    train = training_documents({n: s[0] for n, s in sides.items()}, rng, n_documents)
    heldout = heldout_documents({n: s[1] for n, s in sides.items()}, rng)
    seen = {t for topic in topics.values() for k in ("open", "more", "story") for t in topic[k]}
    return train, heldout, len(seen)


def describe(documents):
    """Size and hash of one side."""
    text = "\n".join(documents) + "\n"
    return {"documents": len(documents), "words": len(text.split()), "bytes": len(text.encode()),
            "sha256": hashlib.sha256(text.encode()).hexdigest()}, text


def main():
    """Writes both sides and corpus.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "build")
    parser.add_argument("--documents", type=int, default=N_DOCUMENTS)
    parser.add_argument("--seed", type=int, default=SEED)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    train, heldout, n_sentences = build(args.seed, args.documents)
    facts = {"seed": args.seed, "distinct_sentences_and_stories": n_sentences}
    for name, documents in (("train", train), ("heldout", heldout)):
        facts[name], text = describe(documents)
        (args.out / f"{name}.txt").write_text(text, encoding="utf-8")
    (args.out / "corpus.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(facts, indent=2))


if __name__ == "__main__":
    main()
