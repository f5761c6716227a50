"""The pages that the tests open in editors."""

from pathlib import Path

GUIDE = """\
---
title: A guide to Harbour
weight: 10
---

# A guide to Harbour

Harbour keeps copies of container images close to the machines that run them, so that a deployment does not
wait for a registry on the other side of the world. It speaks the same protocol as the registry it stands in for.

## Install the tool

Download the archive for your platform, unpack it into a folder on your search path, and run the program once
with the option that writes a first configuration file. On Linux the package also installs a service that starts
at boot and restarts the program when it fails.

## Configure a mirror

A mirror needs the address of the upstream registry and a folder with enough room for the images. Harbour
removes the images that nobody asked for in thirty days, oldest first, once the folder is nine tenths full.

### Limits

A limit on the bandwidth keeps the mirror from filling the line of a small office; it is counted in megabytes a
second over all connections together, and night hours can have a limit of their own.

## Troubleshooting

Most failures are answers of the upstream registry that Harbour passes on unchanged, so read the status code first.
The log names the image, the layer and the address that were asked for, and how long the answer took.
"""


def write_workspace(folder: Path, *names: str, url: str = "", engine: str = "remote") -> Path:
    """A folder with copies of the guide, and settings that send summaries to the scripted server at ``url``."""
    folder.mkdir()
    for name in names:
        # Each page says something of its own, so that no summary of one is known from another.
        (folder / name).write_text(GUIDE.replace("Harbour", Path(name).stem.capitalize()))
    server = f'url = "{url}"\nmodel = "scripted"\n' if url else ""
    (folder / ".qsum.toml").write_text(f'engine = "{engine}"\n{server}')
    return folder
