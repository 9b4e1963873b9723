// concept_data.h: items for classifiers out of JSON lines and out of ontologies. Private.
//
// Whatever is returned lives in the arena. A file's mistakes are VA_ERR_FORMAT with its path and
// place; nothing of a file is kept when there is one. Texts are at most VA_CONCEPT_MAX_TEXT bytes,
// names VA_CONCEPT_MAX_NAME.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_CONCEPT_DATA_H
#define VKALIGN_CONCEPT_DATA_H

#include "spec.h"

enum {
    VA_CONCEPT_MAX_NAME = 1024,
    VA_CONCEPT_MAX_TEXT = 65536,
    VA_CONCEPT_MAX_LAYER = 1000,
    VA_CONCEPT_MAX_LINES = 1000000, // of a JSONL file, blank ones apart
    VA_CONCEPT_MAX_TERMS = 1000000, // of an ontology
    VA_CONCEPT_MAX_FILES = 1000,    // of an ontology
    VA_CONCEPT_MAX_BYTES = 64 << 20 // of one file
};

// A list that is empty has n = 0.
typedef struct va_concept_items {
    const char *name, *definition; // NULL: none
    int64_t layer;                 // of the ontology
    int64_t line;                  // of the JSONL file, where the concept first stands; else 0
    va_strings positives, hard_negatives, random_negatives;
} va_concept_items;

// -- JSON lines ------------------------------------------------------------------------------

// A concept a line, {"name", "positives", "definition", "layer", "hard_negatives",
// "random_negatives"}, the first two required; or an item a line, {"concept", "text", "label":
// 1 | 0, "kind": "hard" | "random"}, kind only for label 0 (default hard), gathered by concept in
// the order in which concepts first appear. Blank lines are passed over. Refused: other keys, both
// forms in one file, a name twice, a file without a concept. Too few items are not refused here.
va_status va_concepts_jsonl(va_ctx *ctx, va_arena *arena, const char *path, va_concept_items **list,
                            int64_t *n);

// -- ontologies ------------------------------------------------------------------------------

// Terms and what falls under them. The parents of a term are those that list it; it may have
// several.
typedef struct va_ontology va_ontology;

// Files {"layer": 0, "concepts": [{"sumo_term", "definition", "category_children": [...]}, ...]};
// all keys but "concepts" and "sumo_term" may be absent, other keys are passed over. A path that is
// a folder stands for its *.json in the order of their names. A term that is only listed as a child
// is known by its name, one layer below the first of its parents. A term may be defined again
// in the same words (layer, definition, children); otherwise a second definition is refused.
va_status va_ontology_read(va_ctx *ctx, va_arena *arena, const char *const *paths, int64_t n_paths,
                           va_ontology **ontology);
va_strings va_ontology_files(const va_ontology *o); // that were read, each once; borrowed
int64_t va_ontology_count(const va_ontology *o);    // terms, by order of appearance
const char *va_ontology_name(const va_ontology *o, int64_t i); // borrowed
bool va_ontology_defined(const va_ontology *o, int64_t i);     // false: known by its name only

typedef struct va_item_params {
    int64_t positives, hard_negatives, random_negatives; // at most so many of each, >= 0
    uint64_t seed;                                       // of random negatives
    bool raw_names;   // items are terms as they stand, "BodyOfWater", not "body of water"
    bool definitions; // definitions are items too, behind the name; and `definition` is set
} va_item_params;

// Items for the concept `name`. "Below" is below directly or through others, "above" likewise.
//
// positives: every term below the concept, breadth first, children in the order of their list. The
//   concept's own definition is not among them but in `definition`: an experiment adds it.
// hard_negatives: from the siblings, which are the other children of the parents (for a concept
//   without parents: the others without parents in its layer), and from what is below them. The
//   siblings take turns, a term a turn, each going through what is below it breadth first.
// random_negatives: drawn uniformly without replacement from all other terms but siblings. A term's
//   place in the draw depends on seed, concept and term alone: not on which other concepts are
//   asked for, and not on the order of files.
//
// No negative is above or below the concept or has the text of a term that is; no text is twice.
// Where there is less than asked for, all of it is taken. VA_ERR_SPEC: no such term (did you mean).
va_status va_ontology_items(va_ctx *ctx, va_arena *arena, const va_ontology *o, const char *name,
                            const va_item_params *params, va_concept_items *out);

// "BodyOfWater" -> "body of water", "DNAMolecule" -> "DNA molecule", "solid_body" -> "solid body":
// words begin at capitals after small letters or digits and at the last capital of several; words
// of several capitals stay. Letters are ASCII's; others pass through.
const char *va_concept_words(va_arena *arena, const char *term); // NULL: out of memory

#endif
