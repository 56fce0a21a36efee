#!/bin/sh
# Writes a kubernetes.io/tls Secret with a fresh self-signed certificate: examples/tls/make-secret.sh HOST NAME > secret.yaml
set -eu
host=$1
name=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 90 -subj "/CN=$host" \
  -addext "subjectAltName=DNS:$host" -keyout "$folder/key.pem" -out "$folder/certificate.pem" 2>/dev/null
cat <<YAML
apiVersion: v1
kind: Secret
metadata:
  name: $name
type: kubernetes.io/tls
data:
  tls.crt: $(base64 <"$folder/certificate.pem" | tr -d '\n')
  tls.key: $(base64 <"$folder/key.pem" | tr -d '\n')
YAML
