"""What vendors say is new, read from their own files: version, artifact, hash. Pure, bounded; nothing is fetched here.

`read(form, data, name)` gives for each product a `Found`, or a `Missing` with the reason; a file that is none raises
`BadListing`. One module a form: scoop, winget, feed (JSON, by path), apt (`Packages`), rpm (`primary.xml`).
"""

from brakeline.catalog.discovery.model import FORMS, BadListing, Found, Missing
from brakeline.catalog.discovery.reading import read

__all__ = ["FORMS", "BadListing", "Found", "Missing", "read"]
