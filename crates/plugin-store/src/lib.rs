//! The verified files of plugins, by digest: folders, archives, Python environments.
