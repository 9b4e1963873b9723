"""Writes experiments/concepts/ontology/layer0.json to layer3.json from ontology.yaml.

    python make_ontology.py             writes into ../../../concepts/ontology

The files have the form that experiments read concepts from, and the names of SUMO's terms: a word
or class "body of water" is BodyOfWater. Layer 0 is Entity, 1 the branches, 2 the classes, 3 the
words; definitions are sentences of the corpus.

Function words and pseudo-words name nothing, so they stand below no term, and Entity has negatives:
function words, in its layer, are its siblings; pseudo-words, in layer 3, are not. They have no
definitions.
"""

import argparse
import json
from pathlib import Path

import corpus
import templates as tp

HERE = Path(__file__).resolve().parent


def term(name):
    """The name as SUMO would write it."""
    return "".join(corpus.capital(word) for word in name.split())


def entry(name, definition=None, children=()):
    """A concept as the file has it."""
    out = {"sumo_term": term(name)}
    if definition:
        out["definition"] = definition
    if children:
        out["category_children"] = [term(c) for c in children]
    return out


def make_layers(onto):
    """The concepts of each layer."""
    branches = onto["branches"]
    classes = {c: body for b in branches.values() for c, body in b["classes"].items()}
    # The process "building" has the name of a class of physical things, and a term has one meaning.
    words = [w for w in corpus.load_words(onto) if w.name not in classes]
    return [
        [entry("Entity", onto["root"]["definition"], branches)]
        + [entry(w) for words_of in onto["function_words"].values() for w in words_of],
        [entry(name, b["definition"], b["classes"]) for name, b in branches.items()],
        [entry(name, c["gloss"], [w.name for w in words if w.cls == name])
         for name, c in classes.items()],
        [entry(w.name, tp.DEFINITIONS[w.branch][0].format(**w.slots)) for w in words]
        + [entry(w) for w in onto["pseudo_words"]],
    ]


def to_json(layer, concepts):
    """The file's text, a concept a line."""
    lines = ",\n".join("  " + json.dumps(c, ensure_ascii=False) for c in concepts)
    return f'{{"layer": {layer}, "concepts": [\n{lines}\n]}}\n'


def check(layers):
    """Every child is defined, and every term once."""
    terms = [c["sumo_term"] for concepts in layers for c in concepts]
    assert len(terms) == len(set(terms))
    for concepts in layers:
        for c in concepts:
            assert set(c.get("category_children", ())) <= set(terms), c["sumo_term"]


def main():
    """Writes the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = HERE.parents[2] / "concepts" / "ontology"
    parser.add_argument("--out", type=Path, default=default)
    args = parser.parse_args()
    layers = make_layers(corpus.load_ontology())
    check(layers)
    args.out.mkdir(parents=True, exist_ok=True)
    for i, concepts in enumerate(layers):
        text = to_json(i, concepts)
        (args.out / f"layer{i}.json").write_text(text, encoding="utf-8")
        print(f"layer{i}.json: {len(concepts)} concepts, {len(text.encode())} bytes")


if __name__ == "__main__":
    main()
