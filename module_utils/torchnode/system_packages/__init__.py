"""Packages of the system, by apt or dnf: one transaction, or nothing.

``transaction`` is the order of things, the same for both; ``apt`` and ``dnf`` do them;
``apt_text``, ``dnf_text``, ``selection``,
``failures``, ``openpgp`` and ``source_text`` are pure and read what they say;
``sources`` writes the files that name a repository.
"""
