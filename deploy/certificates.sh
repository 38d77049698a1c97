#!/bin/sh
# Make a CA and a certificate for the webhook, where there is no cert-manager:
#
#   deploy/certificates.sh FOLDER [NAMESPACE [NAME [DAYS]]]
#
# FOLDER gets ca.crt, for the API server, and tls.crt and tls.key, for the webhook. The key of the CA is thrown away, so
# that nobody can ever sign for another name with it; so a new certificate has a new CA.
set -eu
if [ $# -lt 1 ] || [ $# -gt 4 ]; then
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
folder=$1
namespace=${2:-trustreg}
name=${3:-trustreg-admission}
days=${4:-365}
host=$name.$namespace.svc

umask 077
mkdir -p "$folder"
for file in ca.crt tls.crt tls.key; do
    if [ -e "$folder/$file" ]; then
        echo "$folder/$file is there already; move it away first" >&2
        exit 1
    fi
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

openssl ecparam -genkey -name prime256v1 -noout -out "$work/ca.key"
openssl req -x509 -new -key "$work/ca.key" -sha256 -days "$days" -subj "/CN=$name CA" -out "$work/ca.crt" \
    -addext "basicConstraints=critical,CA:TRUE,pathlen:0" -addext "keyUsage=critical,keyCertSign"

openssl ecparam -genkey -name prime256v1 -noout -out "$work/tls.key"
openssl req -new -key "$work/tls.key" -subj "/CN=webhook" -out "$work/tls.csr"
cat >"$work/extensions" <<EXTENSIONS
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = DNS:$host, DNS:$host.cluster.local
EXTENSIONS
openssl x509 -req -in "$work/tls.csr" -CA "$work/ca.crt" -CAkey "$work/ca.key" -set_serial "0x$(openssl rand -hex 16)" \
    -sha256 -days "$days" -extfile "$work/extensions" -out "$work/tls.crt" 2>/dev/null

mv "$work/ca.crt" "$work/tls.crt" "$work/tls.key" "$folder/"
cat <<NEXT
kubectl --namespace $namespace create secret tls $name-tls --cert=$folder/tls.crt --key=$folder/tls.key
helm install … --set certificates.certManager=false --set certificates.secret=$name-tls --set-file certificates.ca=$folder/ca.crt
NEXT
