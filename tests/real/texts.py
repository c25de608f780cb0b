# SPDX-License-Identifier: MIT
"""Texts on which tokenizers tend to part: scripts, emoji, code, odd white space, random points."""

import random

SCRIPTS = [
    "The quick brown fox jumps over the lazy dog; it's 3.14 o'clock, isn't it? I'LL WE'VE they'd",
    "Größe, façade, naïve, Ærøskøbing, žluťoučký kůň, İstanbul, ﬁnal ﬂow, e\u0301tude, A\u030angstrom",
    "Съешь же ещё этих мягких французских булок, да выпей чаю. 12345 рублей 67 копеек",
    "Ξεσκεπάζω τὴν ψυχοφθόρα βδελυγμία. Αθήνα 2024",
    "نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر ١٢٣٤٥",
    "דג סקרן שט בים מאוכזב ולפתע מצא חברה. שָׁלוֹם",
    "天地玄黃，宇宙洪荒。日月盈昃，辰宿列張。一二三〇 我爱北京天安门!",
    "いろはにほへと ちりぬるを。カタカナ、ひらがな、漢字、１２３。ｶﾀｶﾅ",
    "키스의 고유조건은 입술끼리 만나야 하고 특별한 기술은 필요치 않다. 조선글",
    "ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण १२३",
    "เป็นมนุษย์สุดประเสริฐเลิศคุณค่า กว่าบรรดาฝูงสัตว์ ๑๒๓",
    "சிங்கள தமிழ் எழுத்து நல்வரவு",
    "ቋንቋ የድምጽ ፊደል አማርኛ",
    "𐌰𐌱𐌲 𝒜𝓁𝑔𝑒𝒷𝓇𝒶 𝟙𝟚𝟛 ⅔ Ⅷ ㎏ № ™ ½²³",
]
EMOJI = [
    "😀😃😄 party 🎉🎉🎉!!",
    "👨‍👩‍👧‍👦 family, 👩🏽‍🚀 astronaut, 🏴󠁧󠁢󠁳󠁣󠁴󠁿, 🇩🇪🇫🇷",
    "☺️ vs ☺, ❤️‍🔥, 1️⃣2️⃣, ©®™",
]
CODE = [
    'int main(void)\n{\n\tprintf("%d\\n", 0x1F);\n\treturn 0;\n}\n',
    "def f(x):\n    return {k: v ** 2 for k, v in x.items() if v != 1e-5}\n\n\n",
    "<html>\n  <body class='a'>&nbsp;<!-- c --></body>\n</html><table><tr><td>1</td></tr></table>",
    "SELECT * FROM t WHERE a>=10 AND b<>'it''s' -- comment\r\n;",
    '{"key": [1, 2.5, null, true], "nested": {"a": "\\u00e9"}}',
    "git commit -am 'x' && ./run.sh --flag=1 | grep -E '^[a-z]+$' > /dev/null 2>&1",
    "x+=1;y-=2;z*=3;a/=4;b%=5;c^=6;d&=7;e|=8;f<<=9;g>>=10;h!=i===j",
    "https://example.org/path?q=1&r=a%20b#frag user@example.org 192.168.0.1:8080",
]
SPACES = [
    "", " ", "  ", "   ", "\n", "\n\n", "\n\n\n", "\t", "\t\t x", "\r\n", "\r\n\r\n", "\r", " \n ",
    "\n  \n", "a\n", "a \n", "a\n b", "  a", "a  b", "a   b", "a    b   ", " a", "a ", "\u00a0a\u00a0",
    "a\u2003b", "\u3000日本\u3000", "\u200bzero\u200b", "\ufeffbom", "a\u2028b\u2029c", "\x0b\x0c",
    "a\x00b", "\x01\x02\x1b[31m", "\x7f", "tab\tsep\tval\n", "- a\n- b\n\n  - c\n", "x" * 300,
    " " * 70 + "y", "\n" * 40, "\t" * 33, "=" * 100, "-" * 77 + "\n", "ab" * 128, "....!!!!????",
    "'s 't 're 've 'm 'll 'd 'S 'T ’s", "don't DON'T Don’t", "1 12 123 1234 12345 1,234.56 ٣٤",
    "▁", "▁a▁b", "a▁b", "Ġ", "ĠĊ", "<0x0A>", "<s></s><unk>", "<|im_start|>user", "<bos><eos>",
]  # fmt: skip


def random_text(r):
    """Code points of blocks that are near in use, never a surrogate."""
    blocks = [(32, 126), (32, 126), (0, 0x2FF), (0x370, 0x5FF), (0x600, 0x1FFF), (0x2000, 0x2BFF),
              (0x3000, 0x9FFF), (0xA000, 0xD7FF), (0xE000, 0xFFFF), (0x1F300, 0x1FAFF),
              (0x10000, 0x10FFFF)]  # fmt: skip
    text, length = [], r.randrange(1, 60)
    while len(text) < length:
        first, last = r.choice(blocks)
        text += [chr(r.randint(first, last)) for _ in range(r.randint(1, 8))]
        text += r.choice(["", "", " ", "  ", "\n", "'"])
    return "".join(text)


def pieces(r, sources):
    """Words of the texts above, cut and glued together anew."""
    words = []
    for _ in range(r.randint(2, 12)):
        source = r.choice(sources)
        first = r.randrange(len(source) or 1)
        words.append(source[first : first + r.randint(1, 20)])
    return r.choice(["", " ", "\n", "  "]).join(words)


def all_texts(count, seed=1):
    fixed = SCRIPTS + EMOJI + CODE + SPACES
    r = random.Random(seed)
    texts = fixed + [s.upper() for s in SCRIPTS] + [" " + s + "\n" for s in SCRIPTS]
    while len(texts) < count:
        texts.append(random_text(r) if len(texts) % 2 else pieces(r, fixed))
    return texts
