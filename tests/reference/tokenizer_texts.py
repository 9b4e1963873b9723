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

# What makes the expressions of the byte-level families differ.
FAMILY_CASES = (
    "I'm sure they'll say we've, you're; IT'S don'T WE'RE We'Ve a'lL 'D",
    "it\u2019s l\u2019id\u00e9e d'accord o'clock '\u017f 'ſ '\u00df '\u0130",
    "'s 's's ''s \n's\u00a0's \u00e9's \u6982's \u0661's 1's",
    "CamelCaseWord HTTPServer iPhone McDonald's \u01c5a \u01c4A \u1f88\u03b1 \u02b0a A\u0301a\u0301",
    "\u041c\u043e\u0441\u043a\u0432\u0410 \u0395\u03bb\u03bb\u03ac\u03b4\u03b1\u03a3 \u10d0\u10d1 \u1c90\u1c91 \u13a0\uab70",
    "1 12 123 1234 12345678901234567890 1,234,567.89 0x1F 3rd",
    "\u0661\u0662\u0663\u0664 \u0967\u0968\u0969\u096a \uff11\uff12\uff13\uff14 \u00bd\u00b2\u2167\u2460 12\u066334",
    "a1b22c333d4444", "\u4e00\u4e8c\u4e09123\u56db\u4e94 \u3042\u30a2\u30fc \u9fa5\u9fa6 \ud55c\uae001\uae00",
    "   leading", "trailing   ", "a   b\t\tc \t d", "a \n b\n\n c \r\n\r\n d\r e", "\n\n\na", "a\n\n\n",
    " \n  \n   x", "\t\n\r\n \n", "a" + " " * 30 + "b" + " " * 25, "\u00a0\u00a0x \u2003\u2003y\u3000\u3000z",
    "\u0085\u2028\u2029 a\u0085b\u2028c", "\u180e\u180ea\u180e b", "\u001c\u001d\u001e\u001f a\u001cb",
    "\u200b\u200ca\u200d\u2060\ufeffb", "\u0001\u0002\u007f\u0080\u009f",
    "...!!!\n\n??? ,,,\r\n;;; ///\n/// //a", "(a)[b]{c}<d>\"e\"'f'`g`", "$5 + 6 = 11 ^ | ~ \u20ac7 \u00a33",
    "#include <x.h>\n\tint a[3]={1,2,3};//c\n", "_a __b c_d -e --f g-h", "\u2014a \u2026b \u00abc\u00bb \u3002\u3001\uff01\uff1f d",
    "\u2018a\u2019 \u201cb\u201d \u201f \u3002a \uff0fb \uff5ec",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f\U0001f3fd \U0001f1e8\U0001f1ed 1\ufe0f\u20e3",
    "e\u0301\u0323 a\u0308o\u0308 \u0915\u094d\u0937\u093f \u0e01\u0e33 \u0627\u064e\u0644\u0652",
    "\u1100\u1161\u11a8 \uac01 \u212b \u2126 \ufb01 \u1e9b\u0323 \u0344", "\ufb13\U00010400\U00010428\U0001e900",
    "\U0001d400\U0001d7ce \U00020000\U0002f800 \U000e0001", "the the the " * 6, "abcdefghijklmnopqrstuvwxyz" * 3,
)

# Where the classes of those expressions begin and end; all in Unicode since version 12 or before.
CUT_CHARACTERS = (
    "aAbBsStTrReEvVmMlLdD0192 \t\n\r''.,!?/-_$+<^|~`()[]{}\"\\  '' \n\u00e9\u00c9\u00df\u017f\u0130"
    "\u0131\u01c5\u02b0\u00aa\u00ba\u0663\u0968\u00bd\u00b2\u2167\u2460\u6982\u3042\u30a2\u30fc\uac00"
    "\uff71\uff21\uff41\uff11\u0301\u0323\u200d\u200b\ufeff\u180e\u001c\u0085\u00a0\u2028\u3000\u2003"
    "\u00ad\u0001\u007f\u2019\u2026\u3002\u3001\U0001f642\U0001f3fd\u2764\ufe0f\U0001d518\U00010400"
    "\U00020000\ue000\u0e33\u093f\u20e3\u212a\ufb01\u03a9\u13a0\u10d0\u0640\u05d0")
