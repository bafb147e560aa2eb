"""What a question asks of an index, in the form that the index takes it: words, or a picture or clip, perhaps with."""

from __future__ import annotations

from video_colbert.app.media.stored_files import find_stored_file, find_stored_video
from video_colbert.app.service_query import ServiceQuery
from video_colbert.encoding.encoded import VideoClip
from video_colbert.encoding.visual_query import VisualQuery
from video_colbert.encoding.visual_query.picture_files import read_picture
from video_colbert.errors import EncodingError, QueryError
from video_colbert.index.video_index import VideoIndex


def visual_query_of(query: ServiceQuery, stored: VideoIndex) -> VisualQuery | None:
    """The picture or clip that is looked for, with the words beside it; None where words alone are.

    Args:
        query: what is asked, checked.
        stored: the index, whose videos a moment is of.

    Raises:
        QueryError: the picture is none, or too large.
        NotServedError: the index holds no such video, or its file is not what was indexed.
    """
    text = query.text.strip() or None
    if query.image is not None:
        try:
            picture = read_picture(query.image)
        except EncodingError as error:
            raise QueryError(f"the picture {str(error).partition(': ')[2]}") from error
        return VisualQuery(image=picture, text=text, text_weight=query.text_weight, name="a picture")
    if query.clip is not None:
        clip = VideoClip(query.clip)
        return VisualQuery(clip=clip, text=text, text_weight=query.text_weight, name="a clip")
    if query.moment is None:
        return None
    moment = query.moment
    name = find_stored_video(stored, moment.video).path
    file = find_stored_file(stored, moment.video)
    clip = VideoClip(str(file.path), moment.start, moment.end)
    return VisualQuery(clip=clip, text=text, text_weight=query.text_weight, name=f"a moment of {name}")
