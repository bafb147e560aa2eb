"""What is known of published backbones: the licence of their weights, their languages, what they learned from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from video_colbert.hub.checkpoint_files import CONFIG_FILE, TRAINING_FILE
from video_colbert.hub.json_files import read_json_object, read_json_object_if_there
from video_colbert.hub.published_text import hub_id


@dataclass(frozen=True)
class BackboneFacts:
    """What the publishers of a backbone say of it.

    Attributes:
        license: the Hub's id of its licence.
        languages: codes of the languages it was trained on, as the Hub's metadata has them.
        data: what it was trained on, the end of a sentence.
    """

    license: str
    languages: tuple[str, ...]
    data: str


_WEBLI = "images and texts of the web (WebLI, which is not public)"
# By the beginning of the Hub id. Sources: the repositories' cards, for CLIP
# https://github.com/openai/CLIP, for MetaCLIP 2 https://github.com/facebookresearch/MetaCLIP and arXiv 2507.22062, for
# VideoPrism https://github.com/google-deepmind/videoprism and arXiv 2402.13217, for PE-AV
# https://huggingface.co/facebook/pe-av-large and arXiv 2512.19687.
_KNOWN = {
    r"openai/clip-": BackboneFacts("mit", ("en",), "400 million images and English texts of the web, not public"),
    r"laion/CLIP-.*laion2B": BackboneFacts("mit", ("en",), "the English two billion pairs of LAION-5B"),
    r"facebook/metaclip-2-": BackboneFacts(
        "cc-by-nc-4.0", ("multilingual",), "images and texts of the public web in over 300 languages"
    ),
    r"google/siglip-.*-(multilingual|i18n)": BackboneFacts("apache-2.0", ("multilingual",), _WEBLI),
    r"google/siglip-": BackboneFacts("apache-2.0", ("en",), f"English {_WEBLI}"),
    r"google/videoprism-lvt-": BackboneFacts(
        "apache-2.0",
        ("en",),
        "36 million pairs of videos and texts, and 582 million clips with noisy ones, not public",
    ),
    r"facebook/pe-av-": BackboneFacts(
        "apache-2.0", ("en",), "about a hundred million videos with sound and captions that models wrote, not public"
    ),
    r"google/siglip2-": BackboneFacts("apache-2.0", ("multilingual",), f"{_WEBLI}, in over 100 languages"),
}


def backbone_of(folder: Path) -> str | None:
    """The Hub id of what a checkpoint's training started from; None where that was a folder.

    Args:
        folder: of the checkpoint.

    Raises:
        CheckpointError: a file of the checkpoint is missing or malformed.
    """
    started_from = read_json_object_if_there(folder / TRAINING_FILE).get("model")
    return hub_id(started_from or read_json_object(folder / CONFIG_FILE).get("backbone"))


def backbone_facts(backbone: str | None) -> BackboneFacts | None:
    """What is known of a backbone; None of one that is not among those whose publishers were asked.

    Args:
        backbone: its Hub id, or what a config has in its place.

    Example:
        >>> backbone_facts("google/siglip2-base-patch16-224").license
        'apache-2.0'
    """
    if (name := hub_id(backbone)) is None:
        return None
    return next((facts for pattern, facts in _KNOWN.items() if re.match(pattern, name)), None)


def license_of(backbone: str | None, api: HfApi | None = None) -> str | None:
    """The Hub's id of a backbone's licence, which weights trained from it are under too; None where it is not known.

    Args:
        backbone: its Hub id, or what a config has in its place.
        api: of the Hub, whose metadata are asked where nothing else is known; None asks nobody.
    """
    if (facts := backbone_facts(backbone)) is not None:
        return facts.license
    name = hub_id(backbone)
    if api is None or name is None:
        return None
    try:
        card = api.model_info(name).card_data
    # It may be private, gone or of another Hub; publishing does not depend on it.
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError):
        return None
    found = card.get("license") if card is not None else None
    return found if isinstance(found, str) else None
