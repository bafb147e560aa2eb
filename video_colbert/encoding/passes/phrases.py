"""The phrases of a query: what a model that makes one vector of a text is asked about apart.

Function words (articles, prepositions, pronouns, auxiliaries and the like, a closed class) say how things belong
together and are seen nowhere.
"""

from __future__ import annotations

# English. In other languages no such word is met, and long runs are taken word by word.
_ENGLISH = """
    a an the this that these those some any each every either neither both all no not none nor another other such
    of in on at by for with without within into onto from to toward towards over under above below between among
    across through during before after behind beside besides beneath beyond near around along against about as like
    upon via per than until till since while
    and or but so if because although though whether where when whenever wherever why how then also too
    i me my mine we us our ours you your yours he him his she her hers it its they them their theirs
    myself yourself himself herself itself ourselves themselves who whom whose which what there here one ones
    am is are was were be been being do does did doing done has have had having can could will would shall should
    may might must gets getting got
    very just only more most much many few several
"""
_FUNCTION_WORDS = frozenset(_ENGLISH.split())
# A noun with what is said of it is seldom longer; a longer run is of a language whose function words are not known.
_MAX_WORDS = 4


def is_function_word(word: str) -> bool:
    """Whether a word says only how others belong together.

    Example:
        >>> [word for word in "a dog catches The ball".split() if not is_function_word(word)]
        ['dog', 'catches', 'ball']
    """
    return word.lower() in _FUNCTION_WORDS


def split_phrases(text: str) -> list[str]:
    """The phrases of a text: its runs of words between function words and punctuation, as they are written.

    A run of more than four words is none; its words stand alone, which is the rule of languages other than English.

    Args:
        text: a query.

    Returns:
        The phrases in their order, each once; the whole text where it has none.

    Example:
        >>> split_phrases("a red circle on the table, then a dog")
        ['red circle', 'table', 'dog']
        >>> split_phrases("ein roter Kreis bewegt sich nach links")[:3]
        ['ein', 'roter', 'Kreis']
    """
    # It imports transformers, and who asks for function words alone starts without.
    from video_colbert.processing.query_tokens import word_spans

    runs: list[list[tuple[int, int]]] = []
    end_before = -1
    for start, end in word_spans(text):
        is_next = bool(runs) and end_before >= 0 and not text[end_before:start].strip()
        end_before = end
        if is_function_word(text[start:end]):
            end_before = -1
        elif is_next:
            runs[-1].append((start, end))
        else:
            runs.append([(start, end)])
    phrases = []
    for run in runs:
        if len(run) > _MAX_WORDS:
            phrases += [text[start:end] for start, end in run]
        else:
            phrases.append(text[run[0][0] : run[-1][1]])
    return list(dict.fromkeys(phrases)) or [text]
