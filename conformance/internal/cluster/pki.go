package cluster

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// identity is a user of the API server.
type identity struct {
	name   string
	user   string
	groups []string
}

// identities are the users: each part of the cluster has the rights that it has
// elsewhere.
func identities(nodes []string) []identity {
	r := []identity{
		{adminUser, "admin", []string{"system:masters"}},
		{"kcm", "system:kube-controller-manager", nil},
		{"scheduler", "system:kube-scheduler", nil},
		{"csi", "csi", []string{"system:masters"}},
	}
	for _, p := range []string{"controller", "webhook"} {
		r = append(r, identity{p, "system:serviceaccount:" + tektonNamespace + ":tekton-pipelines-" + p,
			[]string{"system:serviceaccounts", "system:serviceaccounts:" + tektonNamespace}})
	}
	for _, n := range nodes {
		r = append(r, identity{n, "system:node:" + n, []string{"system:nodes"}})
	}
	return r
}

// writeIdentities writes the API server's certificate and keys, the users' tokens
// and a kubeconfig for each; it returns the tokens by name.
func writeIdentities(dir string, users []identity) (map[string]string, *x509.CertPool, error) {
	pool, err := writeKeys(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("keys and certificates: %w", err)
	}
	tokens := map[string]string{}
	var file strings.Builder
	for _, u := range users {
		b := make([]byte, 16)
		if _, err := rand.Read(b); err != nil {
			return nil, nil, err
		}
		token := hex.EncodeToString(b)
		tokens[u.name] = token
		fmt.Fprintf(&file, "%s,%s,%s", token, u.user, u.name)
		if len(u.groups) > 0 {
			fmt.Fprintf(&file, ",%q", strings.Join(u.groups, ","))
		}
		file.WriteByte('\n')
		config := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "%s", certificate-authority: %s}}]
users: [{name: u, user: {token: %s}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
current-context: c
`, apiURL, filepath.Join(dir, "ca.crt"), token)
		if err := os.WriteFile(filepath.Join(dir, u.name+".kubeconfig"), []byte(config), 0o600); err != nil {
			return nil, nil, err
		}
	}
	return tokens, pool, os.WriteFile(filepath.Join(dir, "tokens.csv"), []byte(file.String()), 0o600)
}

func writeKeys(dir string) (*x509.CertPool, error) {
	now := time.Now()
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	api := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "kube-apiserver"}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.ParseIP(apiAddress), net.ParseIP(serviceAddress)}, DNSNames: []string{"kubernetes", "kubernetes.default.svc"}}
	var keys [3]*rsa.PrivateKey
	for i, n := range []string{"ca.key", "api.key", "sa.key"} {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, err
		}
		keys[i] = k
		if err := writePEM(filepath.Join(dir, n), "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(k)); err != nil {
			return nil, err
		}
	}
	pub, err := x509.MarshalPKIXPublicKey(keys[2].Public())
	if err != nil {
		return nil, err
	}
	if err := writePEM(filepath.Join(dir, "sa.pub"), "PUBLIC KEY", pub); err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	for _, c := range []struct {
		file string
		cert *x509.Certificate
		key  *rsa.PrivateKey
	}{{"ca.crt", ca, keys[0]}, {"api.crt", api, keys[1]}} {
		der, err := x509.CreateCertificate(rand.Reader, c.cert, ca, c.key.Public(), keys[0])
		if err != nil {
			return nil, err
		}
		if err := writePEM(filepath.Join(dir, c.file), "CERTIFICATE", der); err != nil {
			return nil, err
		}
		if c.cert == ca {
			made, err := x509.ParseCertificate(der)
			if err != nil {
				return nil, err
			}
			pool.AddCert(made)
		}
	}
	return pool, nil
}

func writePEM(file, kind string, der []byte) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
