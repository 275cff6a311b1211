"""A stand-in for NVIDIA's package repositories: real names and versions, hollow packages, own key.

``python3 -m stub_repository --help`` (from ``tests/``) builds one. Standard library only, so that a
node without pip can build it too; signing needs ``gpg``, an rpm repository ``rpmbuild`` and
``createrepo_c``.
"""
