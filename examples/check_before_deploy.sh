#!/bin/sh
# Let only signed images through to a deployment: names in, names by digest out.
#
#   check_before_deploy.sh < images > pinned && deploy pinned
#   kubectl get deployments -o jsonpath='{.items[*].spec.template.spec.containers[*].image}' | tr ' ' '\n' |
#       check_before_deploy.sh
#
# The first word of each line is an image; empty lines and # comments are passed over. Nothing is printed unless all images are
# what their publishers signed.
#
# Exit codes:
#   0  all of them are: stdout has each by its digest, in the order they came in
#   1  at least one is refused: somebody has to look at it, trying again does not help
#   2  the question was wrong: a name that is none, a setting that cannot be used
#   3  it could not be found out, after ATTEMPTS (3) times with PAUSE (10) seconds between: try again later
set -u

set --
while read -r name _ || [ -n "$name" ]; do
    case $name in
    '' | '#'*) ;;
    *) set -- "$@" "$name" ;;
    esac
done
if [ $# -eq 0 ]; then
    echo "check_before_deploy: no images on standard input" >&2
    exit 2
fi

attempt=1
while :; do
    verdicts=$(trustreg verify -- "$@")
    code=$?
    case $code in
    0)
        printf '%s\n' "$verdicts" | cut -d ' ' -f 1
        exit 0
        ;;
    3)
        if [ "$attempt" -ge "${ATTEMPTS:-3}" ]; then
            echo "check_before_deploy: no answer after $attempt attempts; nothing was deployed" >&2
            exit 3
        fi
        attempt=$((attempt + 1))
        sleep "${PAUSE:-10}"
        ;;
    *)
        echo "check_before_deploy: stopped; nothing was deployed" >&2
        exit "$code"
        ;;
    esac
done
