//! In: YAML. Out: a `Config` the program may rely on, or every problem at once with file, line, key and the mend.
//! Never: starts anything, applies a default that `config/mirrorlag.yaml` does not show.
