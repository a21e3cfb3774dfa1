"""Build script; the metadata lies in pyproject.toml."""

from setuptools import setup

setup()
