//! The compiled protocol that the Python package makes its messages from.

use std::{fs, path::Path};

use flexcore_plugin_protocol::protobuf::FILE_DESCRIPTORS;

#[test]
fn the_python_package_has_the_protocol_as_it_is() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../sdk/python/src/flexcore_plugin/protocol.binpb");
    if std::env::var_os("UPDATE_PROTOCOL").is_some() {
        fs::write(&file, FILE_DESCRIPTORS).unwrap();
    }
    assert!(
        fs::read(&file).unwrap() == FILE_DESCRIPTORS,
        "{} is not the protocol any more; run this test with UPDATE_PROTOCOL=1",
        file.display()
    );
}
