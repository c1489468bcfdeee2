"""What each kind of mirror is and can do, known without opening one.

Zenodo: 50 GB and 100 files a record (its published limits); a record can never be taken back by its owner. Internet
Archive: advice of 100 GB and 10,000 files an item; an item is public at once and for ever. S3: 5 TiB an object; most
services tell no checksum of what came in parts, so none is promised.
"""

from mirrors.backends.base import Traits

LOCAL = Traits()
S3 = Traits(largest_object_bytes=5 << 40)
ZENODO = Traits(
    largest_object_bytes=50 * 10**9,
    most_files=100,
    most_bytes=50 * 10**9,
    has_drafts=True,
    is_lasting=True,
    mints_doi=True,
    resumes=False,
    checksums=("md5",),
)
INTERNET_ARCHIVE = Traits(
    largest_object_bytes=100 * 10**9,
    most_files=10_000,
    most_bytes=100 * 10**9,
    is_lasting=True,
    settles_late=True,
    resumes=False,
    checksums=("md5", "sha1"),
)
