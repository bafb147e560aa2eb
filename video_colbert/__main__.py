"""`python -m video_colbert`, the same as `video-colbert`."""

import sys

from video_colbert.cli import main

if __name__ == "__main__":
    sys.exit(main())
