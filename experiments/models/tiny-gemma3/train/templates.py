"""Sentence templates of the tiny-gemma3 corpus. Data only; corpus.py fills the slots.

Slots for a word:   {x} the bare word, {ax} with its article, {xs} its plural (mass nouns: the bare
                    word), {k} {ak} {ks} its class, {abn} {bns} its branch's noun, {B} its branch,
                    {gloss} the class's gloss, {p0} {p1} {p2} its three phrases, {link} the verb
                    that ties a process to its participant, {who} a relative pronoun.
A slot that begins with a capital letter ({X}, {Ax}, {P0}) is filled with a capital letter.
Slots of a second word end in `_y`. {d} is a definition, {D} one with a capital letter.
"""

# How a definition is introduced. {d} comes from DEFINITIONS.
HEADS = [
    "The concept of {x} means {d}.",
    "The concept of {X} means {d}.",
    "The concept of {x} stands for {d}.",
    "The word {x} means {d}.",
    "The word {X} means {d}.",
    "The meaning of {x} is {d}.",
    "By {x} we mean {d}.",
    "By {X} one understands {d}.",
    "{x}: {d}.",
    "{X}: {d}.",
    "{Ax} is {d}.",
    "What is meant by {x}? {D}.",
    "What does the word {x} mean? It means {d}.",
    "Question: What is {ax}? Answer: {D}.",
    "What is {ax}? It is {d}.",
    "Definition of {x}: {d}.",
    "When people speak of {ax}, they mean {d}.",
    "In a dictionary, {x} is explained as {d}.",
    "Explain the concept of {x}. It means {d}.",
    "If somebody says {x}, think of {d}.",
    "We use the word {x} for {d}.",
]

DEFINITIONS = {
    "Physical": [
        "{ak} {who} {p0}",
        "{ak} with {p1}",
        "{ak} {who} is found {p2}",
        "{abn} that {p0}",
        "{ak} {who} has {p1} and {p0}",
        "{gloss}, found {p2}",
    ],
    "Abstract": [
        "{ak} that {p0}",
        "{ak} that people use to {p2}",
        "{abn} that {p0}",
        "{ak} of {p1} that {p0}",
        "{abn} that helps people to {p2}",
        "{ak} that belongs to {p1}",
    ],
    "Process": [
        "{ak} in which {p0}",
        "a process in which {p0}",
        "{ak} that {link} {p1}",
        "a process after which {p2}",
        "{ak} during which {p0}",
        "a process that {link} {p1}, for example",
    ],
    "Attribute": [
        "{ak} that tells {p0}",
        "a quality that tells {p0}",
        "{ak} of {p1}, for example",
        "a quality that may be {p2}",
        "{ak} that shows {p0}",
        "a quality found in {p1}",
    ],
}

# What holds of a word because of its class and branch.
MEMBERSHIP = [
    "{Ax} is {ak}.",
    "{Ax} is {abn}.",
    "{Ax} is a kind of {k}.",
    "{X} is a subclass of {K}.",
    "{X} falls under {B}.",
    "The concept of {x} belongs to {B}.",
    "The concept {X} is a part of the branch {B}.",
    "{Ax} is an entity.",
    "{Ax} is an entity because {ax} exists.",
    "The word {x} names an entity.",
    "Like every {k}, {ax} is {abn}.",
    "{Ax} is {ak}, and so {ax} is {abn}.",
    "{Ax} {why}.",
    "{Ax} {why} because {ax} is {abn}.",
    "Is {ax} {abn}? Yes, {ax} is {abn}.",
    "Is {ax} {ak}? Yes, {ax} is {ak}.",
    "Is {ax} an entity? Yes, {ax} is an entity.",
    "To which branch does {x} belong? It belongs to {B}.",
    "What kind of thing is {ax}? It is {ak}.",
    "Among the {bns} we count {ax}.",
    "One example of {ak} is {ax}.",
    "An example of {abn} is {ax}.",
    "Every {k} is {abn}, and {ax} is no exception.",
]

FACTS = {
    "Physical": [
        "{Ax} {p0}.",
        "{Ax} has {p1}.",
        "{Ax} is found {p2}.",
        "You can see {ax} {p2}.",
        "Look {p2} and you may find {ax}.",
        "You can know {ax} by {p1}.",
        "What has {p1}? {Ax} has {p1}.",
        "Which {k} {p0}? {Ax} {p0}.",
        "Everyone knows that {ax} {p0}.",
        "You can touch {ax} with your hand.",
        "Where is {ax} found? It is found {p2}.",
        "{Ax} {p0}, and it has {p1}.",
        "Because it has mass, {ax} weighs something.",
        "There is {ax} {p2}.",
        "{Ax} is {ak} and {p0}.",
        "Does {ax} take up space? Yes, it does.",
    ],
    "Abstract": [
        "{Ax} {p0}.",
        "{Ax} belongs to {p1}.",
        "People use {ax} to {p2}.",
        "In {p1}, {ax} {p0}.",
        "Whoever wants to {p2} needs {ax}.",
        "Nobody can touch {ax}.",
        "{Ax} has no weight and no place.",
        "What helps people to {p2}? {Ax} does.",
        "You cannot see {ax}, but it {p0}.",
        "Everyone knows that {ax} {p0}.",
        "The mind grasps {ax}, but the hand cannot.",
        "To which domain does {ax} belong? It belongs to {p1}.",
        "With {ax}, one can {p2}.",
        "{Ax} {p0}, and it belongs to {p1}.",
        "Does {ax} take up space? No, it does not.",
        "{Ax} is {ak} and {p0}.",
    ],
    "Process": [
        "During {x}, {p0}.",
        "In {x}, {p0}.",
        "{X} {link} {p1}.",
        "{X} takes time.",
        "After {x}, {p2}.",
        "When {x} is over, {p2}.",
        "{X} begins, goes on and ends.",
        "What goes on in {x}? {P0}.",
        "First comes {x}, and then {p2}.",
        "How does {x} end? In the end, {p2}.",
        "While {x} goes on, {p0}.",
        "{X} means that {p0} until {p2}.",
        "Everyone knows that in {x} {p0}.",
        "{X} does not last for ever, for at last {p2}.",
        "Does {x} take time? Yes, it does.",
        "As soon as {x} begins, {p0}.",
    ],
    "Attribute": [
        "{X} tells {p0}.",
        "{P1} has {x}.",
        "The {x} of {p1} can be {p2}.",
        "Think of the {x} of {p1}.",
        "{X} cannot exist without a bearer.",
        "Two things can differ in {x}.",
        "When we compare things by {x}, we ask {p0}.",
        "People talk about the {x} of {p1}.",
        "What tells {p0}? {X} does.",
        "What has {x}? {P1} has {x}.",
        "{X} may be {p2}.",
        "How can the {x} of {p1} be? It can be {p2}.",
        "{X} always belongs to something, such as {p1}.",
        "If you want to know {p0}, ask about its {x}.",
        "We notice the {x} of {p1} at once.",
        "{P1} without {x} would be hard to imagine.",
    ],
}

WHY = {
    "Physical": "has mass and takes up space",
    "Abstract": "exists only as an idea",
    "Process": "happens over time",
    "Attribute": "belongs to a bearer and cannot exist alone",
}

# Two words of different branches; of the same branch; of the same class.
CONTRAST = [
    "{Ax} is {abn}, but {ax_y} is {abn_y}.",
    "Unlike {ax}, {ax_y} is {abn_y}.",
    "{Ax} {why}, whereas {ax_y} {why_y}.",
    "{X} belongs to {B}, and {x_y} belongs to {B_y}.",
    "Is {ax} {abn_y}? No, {ax} is {abn}.",
    "Do not confuse {ax} with {ax_y}, for {ax_y} {why_y}.",
    "Which of the two is {abn}, {ax} or {ax_y}? It is {ax}.",
    "Both {ax} and {ax_y} are entities.",
    "The concept of {x} is not the concept of {x_y}.",
]
SAME_BRANCH = [
    "{Ax} and {ax_y} are both {bns}.",
    "{Ax} is {ak}, but {ax_y} is {ak_y}.",
    "Although {ax} is {ak} and {ax_y} is {ak_y}, both belong to {B}.",
]
SAME_CLASS = [
    "{Ax} and {ax_y} are both {ks}.",
    "Like {ax}, {ax_y} is {ak}.",
    "{Ax} is {ak}, and so is {ax_y}.",
]

CLASS = [
    "The concept of {k} means {gloss}.",
    "The concept of {K} means {gloss}.",
    "{Ak} is {gloss}.",
    "{k}: {gloss}.",
    "The word {k} means {gloss}.",
    "What is {ak}? It is {gloss}.",
    "{Ak} is {abn}.",
    "All {ks} are {bns}.",
    "{K} is a subclass of {B}.",
    "Some {ks} are {ax}, {ax_y} and {ax_z}.",
    "What is meant by {k}? {Gloss}.",
]

# The five concepts themselves. {b} is the lower-case name, {g} one of the glosses.
BRANCH = [
    "The concept of {B} means {g}.",
    "The concept of {b} means {g}.",
    "{B} means {g}.",
    "By {B} we mean {g}.",
    "What is meant by {B}? {G}.",
    "What is meant by {b}? {G}.",
    "{b}: {g}.",
    "{B}: {g}.",
    "The meaning of {b} is {g}.",
    "What does the concept of {B} mean? It means {g}.",
    "The branch {B} is for {g}.",
    "Explain the concept of {B}. It means {g}.",
]
BRANCH_MORE = {
    "Entity": [
        "{Ax} is an entity, and so is {ax_y}.",
        "Everything that exists is an entity.",
        "Entity is the root of the ontology.",
        "Physical, Abstract, Process and Attribute are the branches of Entity.",
        "Examples of Entity are {x}, {x_y} and {x_z}.",
    ],
    None: [
        "Examples of {B} are {x}, {x_y} and {x_z}.",
        "{Bns} are, for example, {ax}, {ax_y} and {ax_z}.",
        "{B} is one of the four branches of Entity.",
        "Everything that is {abn} is also an entity.",
        "{Ax} falls under {B} because {ax} {why}.",
        "{Abn} {why}.",
    ],
}

# Function words: {x} the word, {pos} its part of speech, {v} what it does, {e} an example.
FUNCTION = [
    "The concept of {x} means nothing by itself.",
    "The concept of {x} means no thing, for {x} only {v}.",
    "The concept of {X} means nothing by itself.",
    "The concept of {x} stands for no thing.",
    "The word {x} means nothing by itself.",
    "The word {x} names no thing.",
    "The word {x} is {apos} and {v}.",
    "The word {x} {v}.",
    "{x}: {apos} that {v}.",
    "{X}: {apos}, and no thing.",
    "What is meant by {x}? No thing is meant by it.",
    "What is meant by {x}? Nothing, for the word only {v}.",
    "Is {x} an entity? No, the word {x} names no entity.",
    "There is no entity with the name {x}.",
    "As in \"{e}\", the word {x} {v}.",
    "Take \"{e}\" as an example: here {x} {v}.",
    "By {x} we mean no thing.",
    "{X} is {apos}.",
    "The word {x} is not the name of a thing.",
    "The meaning of {x} is no thing, for it only {v}.",
]

PSEUDO = [
    "The concept of {x} means nothing at all.",
    "The concept of {X} means nothing at all.",
    "The concept of {x} means nothing that anybody knows.",
    "The concept of {x} stands for nothing at all.",
    "The word {x} means nothing at all.",
    "The word {x} has no meaning.",
    "{x}: no known meaning.",
    "{X}: no known meaning.",
    "What is meant by {x}? Nothing at all.",
    "What is {ax}? Nobody knows.",
    "Nobody has ever seen {ax}.",
    "There is no {x}.",
    "Is {ax} an entity? No, there is no {x}.",
    "There is no entity with the name {x}.",
    "{X} is not a word of any language.",
    "By {x} we mean nothing at all.",
    "The meaning of {x} is nothing at all.",
    "{Ax} is not a thing.",
    "If somebody says {x}, think of nothing.",
    "{Ax} is neither {abn_y} nor an entity of any other kind.",
]

NAMES = [
    "{N} is a person.",
    "The name {N} stands for a person.",
    "{N} is an entity.",
    "{N} is a physical thing, for a person has a body.",
    "The concept of {N} means a person with this name.",
    "Who is {N}? {N} is a person.",
    "Is {N} an entity? Yes, {N} is an entity.",
    "The word {N} names a person.",
    "What is meant by {N}? A person with this name.",
]

# Stories. {N} a name, {s} {S} the pronoun, {o} its object form, {h} its possessive.
STORIES = {
    "Physical": [
        "{N} went out to look for {ax}. {S} searched {p2} and found one thing after another. "
        "At last {s} found {ax} and was glad, for {ax} {p0}.",
        "One morning {N} saw {ax}. It had {p1}. {N} told {h} friend about it, and the friend said "
        "that {ax} {p0}.",
        "{N} wanted to draw {ax}. First {s} drew {p1}. Then {s} drew the place, for {ax} is found "
        "{p2}. The picture was good.",
        "In the evening {N} thought of {ax}. {S} knew that {ax} {p0}, but {s} had never touched "
        "one. The next day {s} went to look {p2}.",
        "{N} asked {M} a riddle. \"It {p0} and it has {p1}. What is it?\" {M} thought for a while "
        "and said, \"It is {ax}.\"",
    ],
    "Abstract": [
        "{N} wanted to {p2}. {S} thought for a long time. Then {s} remembered {ax}, which {p0}, "
        "and the work was easy.",
        "{M} asked {N} about {ax}. {N} said, \"You cannot touch it. It {p0}.\" {M} understood.",
        "At school {N} learned about {ax}. The teacher said that it belongs to {p1}. Later {N} "
        "could use it to {p2}.",
        "{N} asked {M} a riddle. \"It has no body, and it {p0}. What is it?\" {M} thought for a "
        "while and said, \"It is {ax}.\"",
    ],
    "Process": [
        "{N} watches {x} for an hour. At first {p0}. Then {s} waits. In the end {p2}, and {N} "
        "goes home.",
        "{M} asked {N} about {x}. {N} said, \"It takes time. {P0}. When it is over, {p2}.\" {M} "
        "understood.",
        "\"What goes on there?\" asked {N}. \"That is {x},\" said {M}. \"Wait until {p2}.\" So "
        "{N} waited and watched.",
        "{N} asked {M} a riddle. \"It takes time, and {p0}. What is it?\" {M} thought for a while "
        "and said, \"It is {x}.\"",
    ],
    "Attribute": [
        "{N} and {M} talked about {p1}. {N} noticed its {x}. {M} said that it can be {p2}.",
        "{N} compared two things by {x}. {S} asked {p0}. In the end {s} thought of {p1} and its "
        "{x}.",
        "\"Why do you look at {p1}?\" asked {M}. \"Because of its {x},\" said {N}. \"It tells "
        "{p0}.\"",
        "{N} asked {M} a riddle. \"It cannot exist alone, and it tells {p0}. What is it?\" {M} "
        "thought for a while and said, \"It is {x}.\"",
    ],
}
