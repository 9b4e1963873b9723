#!/usr/bin/env python3
"""The committed list of what drivers make of each shader, and what counts as worse.

shader_list.py --self-test    proves that each kind of worsening is seen

README.md says what the columns are.
"""
# SPDX-License-Identifier: Apache-2.0
import fnmatch
import sys
from typing import NamedTuple, Optional

COLUMNS = ("registers", "spills", "scratch", "occupancy", "cycles")
MORE_CYCLES = 1.10  # what is not yet a regression: schedulers vary

# Where memory traffic for spilled values would cost what an experiment takes.
HOT = ("op/linear.*", "op/linear_few.*", "op/linear_coopmat*", "op/attention.*", "op/gated.*",
       "probe/mlp_*", "vec/gram.*", "vec/mul.*")
# Shapes for drivers that run on the processor (op_matmul.c, mlp_device.c): tiles as large as its
# first-level cache, far beyond a GPU's registers. No GPU is ever given them.
COLD = ("op/linear_cpu.*", "probe/mlp_*LANES")


class Figures(NamedTuple):
    """None where the driver does not say."""
    registers: Optional[int] = None
    spills: Optional[int] = None
    scratch: Optional[int] = None
    occupancy: Optional[int] = None
    cycles: Optional[int] = None


def is_hot(shader):
    return (any(fnmatch.fnmatchcase(shader, p) for p in HOT)
            and not any(fnmatch.fnmatchcase(shader, p) for p in COLD))


def worst(a, b):
    """Of two executables of one shader."""
    def pick(x, y, of):
        return of(v for v in (x, y) if v is not None) if (x, y) != (None, None) else None
    return Figures(*(pick(x, y, min if name == "occupancy" else max)
                     for name, x, y in zip(COLUMNS, a, b)))


def from_lines(lines):
    """{(shader, variant): Figures} and [fault], from compile_shaders' objects but the first."""
    figures, faults = {}, []
    for line in lines:
        key = (line["shader"], line["variant"])
        if "error" in line:
            faults.append(f"{' '.join(key)}: did not compile (VkResult {line['error']})")
        elif "needs" in line:
            print(f"  {' '.join(key)}: left out, needs {line['needs']}")
        else:
            new = Figures(*(line.get(c) for c in COLUMNS))
            figures[key] = worst(figures[key], new) if key in figures else new
    return figures, faults


# -- the file --------------------------------------------------------------------------------------

HEAD = """# What Mesa's compilers make of each shader: written by ci/portability --update; README.md
# says what the columns are.
# made with: {made_with}
# device registers spills scratch occupancy cycles
"""


def text_of(table, made_with):
    """table: {(shader, variant): {device: Figures}}"""
    text = HEAD.format(made_with=made_with)
    for key in sorted(table):
        text += f"\n{key[0]} {key[1]}\n"
        for device, f in table[key].items():
            cells = ["-" if v is None else str(v) for v in f]
            widths = (4, 3, 3, 4, 6)
            text += f" {device:9}" + " ".join(c.rjust(w) for c, w in zip(cells, widths)) + "\n"
    return text


def parse(text):
    """The table of a file, and what it was made with."""
    table, made_with, key = {}, "", None
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if line.startswith("# made with: "):
            made_with = line[len("# made with: "):]
        elif line.startswith("#") or not words:
            continue
        elif not line.startswith(" "):
            key = tuple(words)
            table[key] = {}
        elif key and len(words) == 1 + len(COLUMNS):
            table[key][words[0]] = Figures(*(None if w == "-" else int(w) for w in words[1:]))
        else:
            raise ValueError(f"line {number}: expected a device and {len(COLUMNS)} columns, "
                             f"got '{line}'")
    return table, made_with


# -- comparing -------------------------------------------------------------------------------------

def hot_spills(table):
    for key, devices in sorted(table.items()):
        for device, f in devices.items():
            if is_hot(key[0]) and (f.spills or f.scratch):
                yield (f"{' '.join(key)} on {device}: a hot kernel spills "
                       f"({f.spills or 0} spills, {f.scratch or 0} bytes of scratch)")


def worse(old, new):
    """The columns in which new is worse than old, as texts."""
    for name, a, b in zip(COLUMNS, old, new):
        if a is None or b is None or name == "registers":
            continue
        if (b < a if name == "occupancy" else b > a * (MORE_CYCLES if name == "cycles" else 1)):
            yield f"{name} {a} -> {b}"


def regressions(expected, table):
    for key, devices in sorted(table.items()):
        for device, f in devices.items():
            old = expected.get(key, {}).get(device)
            what = list(worse(old, f)) if old else []
            if what:
                yield f"{' '.join(key)} on {device}: {', '.join(what)}"


def unlisted(expected, table):
    """Shaders of one side only; devices that were not run say nothing."""
    for key in sorted(set(table) - set(expected)):
        yield f"{' '.join(key)}: new"
    for key in sorted(set(expected) - set(table)):
        yield f"{' '.join(key)}: in the list, but no longer built"


# -- self-test -------------------------------------------------------------------------------------

def self_test():
    old, key = Figures(32, 0, 0, 16, 1000), ("op/linear.NT", "bf16")
    cases = [  # new figures, what must be reported of them
        (old, ""),
        (old._replace(registers=64), ""),
        (old._replace(cycles=1100, occupancy=20), ""),
        (old._replace(cycles=1101), "cycles 1000 -> 1101"),
        (old._replace(occupancy=15), "occupancy 16 -> 15"),
        (old._replace(spills=1), "spills 0 -> 1"),
        (old._replace(scratch=4), "scratch 0 -> 4"),
        (Figures(), ""),
    ]
    failures = [f"{new}: expected '{want}', got {list(worse(old, new))}" for new, want in cases
                if list(worse(old, new)) != ([want] if want else [])]

    def expect(cond, what):
        if not cond:
            failures.append(what)

    table = {key: {"navi31": old, "adreno": Figures(5, 1, None, 4, 9)}}
    expect(parse(text_of(table, "Mesa 1")) == (table, "Mesa 1"), "text_of and parse differ")
    expect(len(list(hot_spills(table))) == 1, "a hot kernel's spill was not seen")
    cold = {("op/linear_cpu.NT", "-"): table[key], ("probe/mlp_update.NEXT_LANES", "-"): table[key],
            ("op/add", "-"): table[key]}
    expect(not list(hot_spills(cold)), "a spill of no hot kernel was reported")
    expect(list(hot_spills({("probe/mlp_update.NEXT", "-"): {"m1": Figures(scratch=8)}})),
           "scratch of a hot kernel was not seen")
    expect(list(regressions(table, {key: {"navi31": old._replace(spills=2)}})),
           "a regression was not seen")
    expect(len(list(unlisted(table, cold))) == 4, "unlisted shaders were not seen")
    lines = [{"shader": "a", "variant": "-", "spills": s, "occupancy": o}
             for s, o in ((3, 8), (0, 4))]
    expect(from_lines(lines)[0] == {("a", "-"): Figures(spills=3, occupancy=4)}, "worst() is wrong")
    expect(from_lines([{"shader": "a", "variant": "-", "error": -3}])[1], "an error was not seen")
    try:
        parse("op/add -\n navi31 1 2\n")
        failures.append("a short line was taken")
    except ValueError:
        pass
    for failure in failures:
        print(failure)
    print(f"{len(cases) + 9} cases, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    if sys.argv[1:] != ["--self-test"]:
        sys.exit(__doc__)
    sys.exit(self_test())
