// Package loopback serves what the API server asks of others over TLS: webhooks, and
// the kubelets' logs.
package loopback

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log"
	"math/big"
	"net"
	"net/http"
	"time"
)

// Server serves a handler over TLS on the loopback interface.
type Server struct {
	// URL is where it is, Port its port, CABundle the certificate (PEM) that vouches for it.
	URL      string
	Port     int
	CABundle []byte

	server *http.Server
	stop   func() bool
	done   chan struct{}
}

// Serve serves h at a free port of 127.0.0.1 until the context ends or
// [Server.Close].
func Serve(ctx context.Context, h http.Handler) (*Server, error) {
	cert, ca, err := selfSigned()
	if err != nil {
		return nil, fmt.Errorf("making a certificate for a server on loopback: %w", err)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("serving on loopback: %w", err)
	}
	s := &Server{
		URL:      "https://" + l.Addr().String(),
		Port:     l.Addr().(*net.TCPAddr).Port,
		CABundle: ca,
		server: &http.Server{
			Handler:           h,
			TLSConfig:         &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
			ReadHeaderTimeout: -1, // none: a slow host's clients are welcome
			// An API server that is stopped leaves half-open handshakes.
			ErrorLog: log.New(discard{}, "", 0),
		},
		done: make(chan struct{}),
	}
	s.stop = context.AfterFunc(ctx, func() { _ = s.server.Close() })
	go func() {
		defer close(s.done)
		_ = s.server.ServeTLS(l, "", "")
	}()
	return s, nil
}

// Close ends the server and its connections. It may be called twice.
func (s *Server) Close() error {
	s.stop()
	err := s.server.Close()
	<-s.done
	return err
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// selfSigned makes a certificate for 127.0.0.1 that is its own authority.
func selfSigned() (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "simctl"},
		// The API server judges it by the host's clock.
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(365 * 24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}
