"""What the Gemma-like tokenizer is trained on, and what it is tried on."""

CORPUS = """\
The concept of Physical means that which has a place in space and a time at which it is there.
The concept of Entity means anything that exists, may exist, or can be thought of as existing.
The concept of Abstract means properties and relations that have no place in space or time.
The concept of Process means what happens and has stages in time; the concept of Attribute means
a quality that we can name and that belongs to something else. A river is a physical thing.
A number is an abstract thing. The growing of a tree is a process. Red is an attribute of the apple.
What is the meaning of this word? It means what the speaker means by it, said the teacher.
She looked at the mountain, and the mountain, being a mountain, did not look at her.
In the beginning there were words, and the words were about other words, and so on and so forth.
Models of language read tokens, and each token is a piece of a word, or a word, or many words.
def jacobian(model, tokens): return model.layers[6](tokens)  # the derivative, in float32
for (int i = 0; i < n; ++i) { sum += x[i] * w[i]; } /* the dot product */ printf("%d\\n", sum);
In 1998 there were 365 days, 12 months and 52 weeks; 3.14159 is near pi, and 2.71828 is near e.
Der Begriff der Größe bedeutet, wie groß etwas ist. Über den Flüssen liegen Brücken für Fußgänger.
L'idée générale de l'été : être là où la forêt brûle, à côté du théâtre, même après le déjeuner.
El niño comió una manzana mañana por la mañana. La razón de la acción está en la ocasión.
Понятие о вещи есть мысль о вещи, и мысль о вещи есть мысль. Слово о полку и слово о слове.
Η έννοια του χρόνου και η έννοια του χώρου. Ο λόγος και το μέτρο.
المعنى هو ما يفهمه الناس من الكلمة، والكلمة جزء من اللغة. اللغة هي الكلام.
המשמעות של המילה היא המילה עצמה, והשפה היא השפה של המילים.
概念的意思是人们对事物的想法。事物的概念和概念的事物。物理的东西在空间和时间中。
言葉の意味は、言葉の使い方である。ものの概念と、こと の概念。カタカナとひらがな。
개념의 의미는 사물에 대한 생각이다. 말의 의미와 생각의 의미.
हिन्दी में शब्द का अर्थ होता है। शब्द और अर्थ।
Happy 🙂 faces 🙂🙂 and rockets 🚀 and rockets 🚀, hearts ❤️ and hearts ❤️.
"""

TURN = "<start_of_turn>user\nWhat is Physical?<end_of_turn>\n<start_of_turn>model\n"

# (text, add special tokens)
CASES = (
    ("The concept of Physical means", True),
    ("The concept of Physical means", False),
    ("The concept of Entity means", True),
    ("The concept of Quidditas means", True),
    ("", True),
    ("", False),
    (" ", False),
    ("  ", False),
    ("   three leading spaces", True),
    ("trailing space ", False),
    ("trailing spaces   ", False),
    (" a  b   c    d     e", False),
    ("a" + " " * 40 + "b", False),
    ("\n", False),
    ("\n\n", False),
    ("line\nline\n\nline\n\n\nline", False),
    ("\n" * 13, False),
    (" \n \n\n  \n", False),
    ("a\r\nb\rc", False),
    ("\t", False),
    ("\t\tindented\t\ttwice", False),
    ("mixed \t \n\t spaces", False),
    ("\u0001\u0002\u001f\u007f\u0085", False),
    ("bell\u0007 and escape\u001b[0m", False),
    ("no\u00a0break\u2003em\u200bzero\u3000wide", False),
    ("\ufefffirst is a byte order mark", False),
    ("▁", False),
    ("▁▁ literal ▁▁▁ low lines ▁", False),
    ("café", False),
    ("cafe\u0301", False),
    ("n\u0303 o\u0308 a\u030a\u0323", False),
    ("Ünïcode ÀÉÎÕÜ ßøæð", True),
    ("ﬁ ligature ① ２ ℌ", False),
    ("Größe, Fußgänger und Brücken", False),
    ("L'été à côté du théâtre", False),
    ("mañana por la mañana", False),
    ("Понятие о вещи", False),
    ("Η έννοια του χώρου", False),
    ("概念的意思是", False),
    ("言葉の意味は、カタカナ", False),
    ("개념의 의미", False),
    ("한글 자모 \u1112\u1161\u11ab", False),
    ("हिन्दी शब्द", False),
    ("ไทย ภาษา", False),
    ("المعنى هو الكلمة", False),
    ("mixed المعنى RTL המילה text", False),
    ("\u202eoverride\u202c", False),
    ("🙂", False),
    ("🙂🙂🚀❤️", False),
    ("👩‍👩‍👧‍👦 family, 🏳️‍🌈 flag, 🇨🇭, 👍🏽", False),
    ("𝔘𝔫𝔦 𐍈 \U0010ffff", False),
    ("\uffff\ufffd\ue000", False),
    ("0123456789", False),
    ("In 1998, 3.14159 and -2.5e10; 1,000,000", False),
    ("int main(void) { return x[i] * 0x7f; } // end", False),
    ("https://example.com/a?b=c&d=%20#e", False),
    ("supercalifragilistic" * 20, False),
    ("a" * 300, False),
    ("aAbBcC THE CONCEPT OF", False),
    ("...!!!???---___===", False),
    ("<bos>", True),
    ("<bos>The concept<eos>", False),
    (TURN, True),
    (TURN, False),
    ("x<start_of_turn>y<end_of_turn>z", False),
    ("x <start_of_turn> y", False),
    ("<start_of_tur <end_of_turn", False),
    ("<unk><pad><mask><unused0><unused1>", False),
    ("<0x41><0x0A>", False),
    ("<table><tr><td>cell</td></tr></table>", False),
    ("<BOS> <Bos>", False),
)
