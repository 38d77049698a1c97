#!/bin/sh
# Release an image: push it, sign the digest that was pushed, and look at it as a reader will.
#
#   release_job.sh SOURCE IMAGE
#   release_job.sh oci:build/app registry.example/team/app:1.0
#
# SOURCE is any image that skopeo can copy. The last line on stdout is the name to announce: the image by its digest.
#
# The job needs
#   TRUSTREG_PIN         the id of the collection's root key, as `trustreg inspect` shows it
#   TRUSTREG_PASSPHRASE  the passphrase of the key it signs with
#   TRUSTREG_TRUST_DIR   the folder with that key (put there with `trustreg key import`)
#   TRUSTREG_SERVER      the trust server, unless a configuration file names it
# and a login to the registry, as `docker login` or `skopeo login` leave it.
#
# Exit codes: those of trustreg, 1 refused, 2 usage, 3 could not find out; or those of skopeo.
set -eu

source=${1:?usage: release_job.sh SOURCE IMAGE}
image=${2:?usage: release_job.sh SOURCE IMAGE}
: "${TRUSTREG_PIN:?is the id of the root key that readers pin}"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

skopeo copy --quiet --all --digestfile "$work/digest" "$source" "docker://$image"
digest=$(cat "$work/digest")

# Name tag and digest both: should anybody have moved the tag by now, nothing is signed.
# Exit code 3 may pass by itself: a network that was away, another job that published at the same moment.
attempt=1
until trustreg sign "$image@$digest"; do
    code=$?
    if [ "$code" -ne 3 ] || [ "$attempt" -eq "${ATTEMPTS:-3}" ]; then
        exit "$code"
    fi
    attempt=$((attempt + 1))
    sleep "${PAUSE:-5}"
done

# A reader knows the pin and nothing else: not this job's folder, not what it remembers.
verdict=$(trustreg verify --trust-dir "$work/reader" "$image")
printf '%s\n' "${verdict%% *}"
