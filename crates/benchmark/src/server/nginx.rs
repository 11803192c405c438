//! nginx with one line to answer.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, ensure};

use super::serving::wait_until;

/// A process of nginx, ended with this.
pub(super) struct Nginx {
    process: Child,
    address: SocketAddr,
}

impl Nginx {
    pub(super) fn start(folder: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder)?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let folder_text = folder.display();
        let config = format!(
            "daemon off; master_process on; worker_processes 2; pid {folder_text}/pid;\n\
             error_log {folder_text}/error.log;\n\
             events {{ worker_connections 256; }}\n\
             http {{ access_log off; keepalive_requests 1000000000;\n\
             client_body_temp_path {folder_text}/body; proxy_temp_path {folder_text}/proxy;\n\
             fastcgi_temp_path {folder_text}/fastcgi; uwsgi_temp_path {folder_text}/uwsgi;\n\
             scgi_temp_path {folder_text}/scgi;\n\
             server {{ listen {address}; location / {{ return 200 \"healthy\\n\"; }} }} }}\n"
        );
        let file = folder.join("nginx.conf");
        fs::write(&file, config)?;
        let mut command = Command::new("nginx");
        command.arg("-c").arg(&file).arg("-p").arg(folder).stdin(Stdio::null());
        let process = command.stderr(Stdio::null()).spawn();
        let process =
            process.context("nginx cannot be started; install Debian's package `nginx-light`")?;
        let nginx = Self { process, address };
        let listens = wait_until(|| TcpStream::connect(address).is_ok());
        ensure!(listens, "nginx does not listen: {}", folder.join("error.log").display());
        Ok(nginx)
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The master ends its workers when it is told; killed, it would leave them.
        let quit = Command::new("kill").arg(self.process.id().to_string()).status();
        if quit.is_err() {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}
