"""``README``: the map of the tree, the page that people find.

Used by: fusefs.nodes.root. It says what is there; the manual says why.
"""

from typing import Final

README: Final = b"""\
This directory shows a container store (layers, images, containers) as files.
It is live: what podman, buildah or skopeo change is seen here within a second.

  images/REGISTRY/PATH/NAME:TAG   an image. Its files: rootfs/. Its documents: manifest, config,
                                  bigdata/. Its layers: layers/NN, and after each step: at/NN
  images/by-id/ID                 the same image; every other name is a symlink to this place
  images/by-digest/ALG/HEX  images/dangling/ID
  layers/ID                       a layer: diff/ (what it changes), rootfs/ (all up to here),
                                  changes, changes.json, deleted, parent, children/, layer.tar
  layers/by-link/LINK  layers/by-digest/ALG/HEX  layers/by-name/NAME
  containers/NAME                 a container: rootfs/ is writable; diff/, changes, userdata/
  containers/by-id/ID

Names are looked up as tools write them: images/alpine, images/3f9ac1, containers/3f9ac1;
of an ID at least four characters.
A name that cannot be one path component is percent-encoded (%2F for a slash).

  mkdir images/NAME/containers/web             create a container from an image
  mkdir containers/web                         announce one; write its names, flags, idmap,
  ln -s ../../images/NAME containers/web/image metadata, then bind it (or to: scratch)
  mv containers/web containers/db              rename
  ln -s web containers/www                     one more name; rm takes it away
  rmdir containers/web                         delete (rm -r is not the verb and is refused)
  ln -s ../by-id/ID images/localhost/mine:1    name an image; rm takes a name away; mv renames
  rmdir images/by-id/ID                        delete an image and the layers only it needs
  rmdir layers/ID                              delete a layer
  echo NAME > .../names                        replace all names; likewise metadata, bigdata/KEY.
                                               It takes effect, or fails, when the file is closed
                                               (a shell's own echo does not tell: see errors)

  errors    the last refused operations, with the reason and what to do about it
  events    what happens from now on, one JSON line each (tail -f, poll); log is the recent past
  status  config  version

A value that is not known is an empty file. Files that are computed when they are opened
(changes, deleted, errors; layer.tar of a layer that came from no archive) show size 0.
"""
