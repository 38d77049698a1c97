#!/bin/sh
# Before a GitOps controller applies a commit: is every image of what it will apply verified, and named by its digest?
#
#   gitops_check.sh FOLDER...
#
# Each FOLDER is what the controller is pointed at. Where there is a kustomization, what `kustomize build` prints is judged, and
# not the files that go into it. RENDER is another command that prints the manifests of a folder.
#
# Exit codes: that of the worst folder. 0 all images are verified and pinned, 1 some are refused or not pinned, 2 a manifest or a
# setting cannot be used, 3 it could not be found out.
set -u

if [ $# -eq 0 ]; then
    echo "usage: gitops_check.sh FOLDER..." >&2
    exit 2
fi

worst=0
for folder; do
    if [ -n "${RENDER:-}" ] || [ -f "$folder/kustomization.yaml" ]; then
        if rendered=$(${RENDER:-kustomize build} "$folder"); then
            printf '%s\n' "$rendered" | trustreg verify -f - --check
            code=$?
        else
            echo "gitops_check: $folder cannot be rendered" >&2
            code=2
        fi
    else
        trustreg verify -f "$folder" --check
        code=$?
    fi
    if [ "$code" -ne 0 ] && { [ "$worst" -eq 0 ] || [ "$code" -lt "$worst" ]; }; then
        worst=$code
    fi
done
exit "$worst"
