#!/bin/sh
# Release an image without a trust server: push it, and sign the digest that was pushed with one key.
#
#   sign_by_key.sh SOURCE IMAGE [PLACE]
#   sign_by_key.sh oci:build/app registry.example/team/app:1.0
#
# SOURCE is any image that skopeo can copy. PLACE is where the signature goes, if not where trustreg puts it by itself.
# The last line on stdout is the name to announce: the image by its digest.
#
# The job needs
#   SIGN_KEY             a file with the private key, or the URI of a signer; SIGN_PUBLIC is then a file with the public key
#   or SIGN_GPG          the fingerprint of a GPG key in GNUPGHOME
#   TRUSTREG_PASSPHRASE  the passphrase of the key, if it has one
# and a login to the registry, as `docker login` or `skopeo login` leave it.
#
# Exit codes: those of trustreg, 1 refused, 2 usage, 3 could not find out; or those of skopeo.
set -eu

source=${1:?usage: sign_by_key.sh SOURCE IMAGE [PLACE]}
image=${2:?usage: sign_by_key.sh SOURCE IMAGE [PLACE]}
if [ -n "${SIGN_GPG:-}" ]; then
    set -- --gpg "$SIGN_GPG" ${3:+--to "$3"}
else
    set -- --key "${SIGN_KEY:?is the key, or SIGN_GPG}" ${SIGN_PUBLIC:+--public "$SIGN_PUBLIC"} ${3:+--to "$3"}
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

skopeo copy --quiet --all --digestfile "$work/digest" "$source" "docker://$image"
digest=$(cat "$work/digest")

# Name tag and digest both: should anybody have moved the tag by now, nothing is signed. What is signed already is not
# signed again, so trying once more never does harm.
attempt=1
until trustreg sign "$@" "$image@$digest" >"$work/signed"; do
    code=$?
    if [ "$code" -ne 3 ] || [ "$attempt" -eq "${ATTEMPTS:-3}" ]; then
        exit "$code"
    fi
    attempt=$((attempt + 1))
    sleep "${PAUSE:-5}"
done

read -r pinned _ <"$work/signed"
printf '%s\n' "$pinned"
