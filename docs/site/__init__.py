"""The documentation site: pages, what is generated of the code, tutorials that are run. `python -m docs.site` builds it."""
