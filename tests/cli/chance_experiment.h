// chance_experiment.h: an experiment with every kind of metric and chance, of three concepts, two
// layers and three prompts. The positives of Planted share a word that its negatives lack.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_CHANCE_EXPERIMENT_H
#define VA_CHANCE_EXPERIMENT_H

#include "run_check.h"

static const char chance_experiment[] =
    "version: 1\n"
    "name: chance\n"
    "model: {path: \"" MODEL "\", layers: [1, 2]}\n"
    "concepts:\n"
    "  - name: Planted\n"
    "    positives: [stone one, stone two, stone tree, stone hand, stone law,\n"
    "     stone run, stone fast, stone idea, stone bad, stone on]\n"
    "    hard_negatives: [one, two, tree, hand, law, run, fast, idea, bad, on]\n"
    "  - name: Physical\n"
    "    positives: [stone, water, tree, hand, house, iron, arm, leaf]\n"
    "    hard_negatives: [number, idea, law, truth]\n"
    "    random_negatives: [run, fast, why, on]\n"
    "  - name: Abstract\n"
    "    positives: [number, idea, law, truth, reason, cause]\n"
    "    hard_negatives: [stone, water, tree, hand, house, leaf]\n"
    "prompts: [\"The concept of {concept} means\", \"The word {concept} is\",\n"
    "     \"What is {concept}\"]\n"
    "directions:\n"
    "  jx: {kind: jacobian, to: \"norm:{layer}@mean\"}\n"
    "  left: {kind: jacobian, to: \"norm:{layer}@mean\", reduce: left, rank: 2}\n"
    "  difference: {kind: difference, site: \"norm:{layer}@mean\"}\n"
    "  last: {kind: difference, site: norm:last@mean}\n"
    "  logistic: {kind: logistic, site: \"norm:{layer}@mean\", seeds: 3}\n"
    "  pca: {kind: pca, site: \"norm:{layer}@mean\", rank: 2}\n"
    "metrics:\n"
    "  - {name: alignment, of: [jx, difference], nulls: [analytic, random,\n"
    "     covariance, permutation], bootstrap: [items, prompts]}\n"
    "  - {name: methods, of: [difference, logistic], nulls: [analytic, permutation],\n"
    "     bootstrap: [items]}\n"
    "  - {name: overlap, kind: subspace, of: [left, pca], nulls: [analytic,\n"
    "     permutation], bootstrap: [items]}\n"
    "  - {name: transfer, kind: transfer, of: [difference, logistic],\n"
    "     nulls: [random, permutation]}\n"
    "  - {name: activations, kind: cka, of: [difference, last], nulls: [permutation]}\n"
    "  - {name: over prompts, kind: agreement, of: [jx], over: prompts}\n"
    "  - {name: over layers, kind: agreement, of: [jx], over: layers}\n"
    "  - {name: over seeds, kind: agreement, of: [logistic], over: seeds}\n"
    "  - {name: ranks, kind: spearman, of: [alignment, methods]}\n"
    "chance: {permutations: 99, draws: 200, resamples: 100}\n"
    "seed: 5\n";

#endif
