#!/usr/bin/env bash
# Extract UK Biobank's cine images on its Research Analysis Platform, in one job that reads the zips where they lie.
#
#   dx upload rap_extract.sh --path /scripts/
#   dx run swiss-army-knife -iin=/scripts/rap_extract.sh -icmd='bash rap_extract.sh' \
#       --instance-type mem1_ssd1_v2_x36 --priority high --destination /derived/cmr-1 --yes
#
# The project is mounted read-only under /mnt/project. Zips are streamed from there, never unpacked and never copied. What lies in the
# working folder at the end goes to --destination: out.h5 and out.shards, about 1 MB a subject.
#
# To go on after a run that did not end, or to add new subjects, name the folder of the earlier job; its shards are taken over:
#
#   dx run swiss-army-knife -iin=/scripts/rap_extract.sh -icmd='bash rap_extract.sh /derived/cmr-1' ... --destination /derived/cmr-2
#
# Needs Python 3.11 or newer and access to a package index; else give an image with cmr-planes in it (-iimage_file=...).
set -euo pipefail

earlier=${1:-}
sources="/mnt/project/Bulk/Heart MRI" # 'Long axis' is field 20208, 'Short axis' 20209, each in folders 10, 11, ...

python3 -m venv "$HOME/cmr" # outside of the working folder, so that it is not kept
"$HOME/cmr/bin/pip" install --quiet cmr-planes

if [ -n "$earlier" ]; then
    cp -r "/mnt/project$earlier"/out.* .
fi

# A job that fails keeps nothing: let it succeed, with what is sealed and a word on what happened.
if ! "$HOME/cmr/bin/cmr-planes" extract --shard-size 128 "$sources/Long axis" "$sources/Short axis" out.h5; then
    echo "The run did not end; the job's log says why. Go on from this folder." > UNFINISHED.txt
fi
rm -rf out.shards/*.part
