"""The inventory module of prod.yml: its hosts, and a group for each label."""

from mirrorfleet.runtime.inventory import groups

globals().update(groups(__file__))
