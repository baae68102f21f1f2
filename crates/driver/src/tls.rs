//! Whom to trust, and who we are.

use std::{path::PathBuf, sync::Arc};

use rustls::{ClientConfig, crypto::ring};
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject},
};
use rustls_platform_verifier::Verifier;

/// Beside the platform's own roots: an extra authority, and a certificate of our own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsOptions {
    /// A PEM file of certificates to trust in addition to the platform's.
    pub extra_ca_file: Option<PathBuf>,
    /// What we show to servers that ask who we are.
    pub client_certificate: Option<ClientCertificate>,
}

/// A certificate of our own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// A PEM file with the certificate, and its chain below it.
    pub certificate_file: PathBuf,
    /// A PEM file with the private key.
    pub key_file: PathBuf,
}

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file is missing, or is not PEM.
    #[error("can't read {what} from {}: {source}", file.display())]
    File {
        /// What was looked for.
        what: &'static str,
        /// Where.
        file: PathBuf,
        /// What went wrong.
        source: pem::Error,
    },
    /// A file holds no certificate.
    #[error("{} holds no certificate; it should be a PEM file", file.display())]
    NoCertificate {
        /// The file.
        file: PathBuf,
    },
    /// What the files hold does not work.
    #[error("TLS can't be set up: {0}")]
    Rejected(#[from] rustls::Error),
}

impl TlsOptions {
    /// Reads the files and makes a configuration that offers HTTP/1.1, which both calls and WebSockets
    /// use. The crypto provider is *ring*, chosen here and nowhere else.
    ///
    /// # Errors
    /// [`TlsError`] names the file that is at fault.
    pub fn config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let extra_roots = match &self.extra_ca_file {
            Some(file) => certificates(file)?,
            None => Vec::new(),
        };
        let verifier = Verifier::new_with_extra_roots(extra_roots, Arc::clone(&provider))?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &self.client_certificate {
            Some(own) => builder.with_client_auth_cert(
                certificates(&own.certificate_file)?,
                private_key(&own.key_file)?,
            )?,
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

fn certificates(file: &PathBuf) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unreadable = |source| TlsError::File {
        what: "certificates",
        file: file.clone(),
        source,
    };
    let certificates = CertificateDer::pem_file_iter(file)
        .map_err(unreadable)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(unreadable)?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate { file: file.clone() });
    }
    Ok(certificates)
}

fn private_key(file: &PathBuf) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(file).map_err(|source| TlsError::File {
        what: "a private key",
        file: file.clone(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::{env, fs, process};

    use super::*;

    struct Files {
        folder: PathBuf,
        certificate: PathBuf,
        key: PathBuf,
        text: PathBuf,
    }

    impl Files {
        fn make(name: &str) -> Self {
            let folder = env::temp_dir().join(format!("attache-{name}-{}", process::id()));
            fs::create_dir_all(&folder).unwrap();
            let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            let write = |name: &str, text: &str| {
                let file = folder.join(name);
                fs::write(&file, text).unwrap();
                file
            };
            Self {
                certificate: write("certificate.pem", &made.cert.pem()),
                key: write("key.pem", &made.signing_key.serialize_pem()),
                text: write("text.pem", "hello"),
                folder,
            }
        }
    }

    impl Drop for Files {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }

    #[test]
    fn an_extra_authority_and_a_client_certificate_are_taken() {
        let files = Files::make("tls-good");
        let options = TlsOptions {
            extra_ca_file: Some(files.certificate.clone()),
            client_certificate: Some(ClientCertificate {
                certificate_file: files.certificate.clone(),
                key_file: files.key.clone(),
            }),
        };
        let config = options.config().unwrap();

        assert!(config.client_auth_cert_resolver.has_certs());
        assert_eq!(config.alpn_protocols, [b"http/1.1"]);
    }

    #[test]
    fn an_unusable_file_is_named() {
        let files = Files::make("tls-bad");
        let missing = files.folder.join("missing.pem");
        let own = |certificate_file: &PathBuf, key_file: &PathBuf| TlsOptions {
            extra_ca_file: Some(files.certificate.clone()),
            client_certificate: Some(ClientCertificate {
                certificate_file: certificate_file.clone(),
                key_file: key_file.clone(),
            }),
        };
        let authority = |file: &PathBuf| TlsOptions {
            extra_ca_file: Some(file.clone()),
            client_certificate: None,
        };
        let cases = [
            (authority(&missing), "missing.pem"),
            (authority(&files.text), "text.pem"),
            (authority(&files.key), "key.pem"),
            (own(&files.text, &files.key), "text.pem"),
            (own(&files.certificate, &files.text), "text.pem"),
            (own(&files.certificate, &missing), "missing.pem"),
        ];
        for (options, named) in cases {
            let message = options.config().unwrap_err().to_string();
            assert!(message.contains(named), "{message}");
        }
    }
}
