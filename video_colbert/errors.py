"""Errors that a user can put right; each message is one sentence that says what was wrong and what would be right."""


class VideoColBERTError(Exception):
    """Base of the errors below; the command line shows its message without a traceback."""


class ModelLoadError(VideoColBERTError):
    """A model cannot be loaded, or is of a kind that is not supported."""


class EncodingError(VideoColBERTError):
    """A model cannot encode what it was given, or gave vectors that are not numbers."""


class WorkerError(VideoColBERTError):
    """The system does not let processes be started that read and decode files."""


class IndexStoreError(VideoColBERTError):
    """An index is missing, damaged, or cannot be written."""


class NoIndexError(IndexStoreError):
    """There is no index where one is to be opened, and nothing to make one with."""


class FolderLostError(IndexStoreError):
    """A folder is there, and none of the files that an index knows in it; what is stored of them stays."""


class ModelMismatchError(IndexStoreError):
    """An index holds vectors of another model than the one asked for."""


class FilterError(VideoColBERTError):
    """A search's filter is not understood, or asks for what an index does not have."""


class MetadataError(VideoColBERTError):
    """A file of metadata, or a manifest, cannot be understood or does not fit the videos."""


class CheckpointError(VideoColBERTError):
    """A checkpoint is incomplete or damaged, or a report beside it cannot be read."""


class HubError(VideoColBERTError):
    """The Hub refused a request or cannot be reached."""


class DatasetError(VideoColBERTError):
    """A data set's files are missing or malformed, or there is none of the name that was asked for."""


class PassageError(VideoColBERTError):
    """What is said, written and told of in videos cannot be read as it was asked for."""


class ExcerptError(VideoColBERTError):
    """A stretch of a video cannot be cut, or a picture of it be made."""


class MissingExtraError(VideoColBERTError):
    """A command needs a package of one of the extras, which is not installed."""


class QueryError(VideoColBERTError):
    """What a server is asked is empty, too long, too large or contradicts itself."""


class NotServedError(VideoColBERTError):
    """A server is asked for an index, a video or a file that it does not serve."""


class BusyError(VideoColBERTError):
    """A server has as much to do as it takes on; the same may be asked again in a moment."""


class OutputError(VideoColBERTError):
    """Standard output cannot be written."""
