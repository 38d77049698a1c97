#!/bin/sh
# A check before a deployment: every image that a list names has to be what its publishers signed.
#
#   check_before_deploy.sh < images.txt
#
# One image a line; blank lines and # comments are passed over. Prints the names to deploy, pinned to digests.
#
# A refusal and an answer that cannot be had are different things. A refusal ends the deployment (exit 1): somebody has
# to look. With no answer (exit 3) it is tried again a few times, since the network may come back, and then ends too.
# ATTEMPTS and PAUSE (seconds) say how often and how far apart.
set -eu

images=$(sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d')
[ -n "$images" ] || { echo "check_before_deploy: no images on standard input" >&2; exit 2; }

attempt=1
while :; do
    code=0
    # shellcheck disable=SC2086 # one argument an image
    pinned=$(trustreg verify $images) || code=$?
    case $code in
        0) printf '%s\n' "$pinned" | cut -d ' ' -f 1; exit 0 ;;
        1) echo "check_before_deploy: refused, see above" >&2; exit 1 ;;
        3) [ "$attempt" -lt "${ATTEMPTS:-3}" ] || { echo "check_before_deploy: no answer, giving up" >&2; exit 3; } ;;
        *) exit "$code" ;;
    esac
    attempt=$((attempt + 1))
    sleep "${PAUSE:-5}"
done
