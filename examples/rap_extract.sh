#!/usr/bin/env bash
# Extract UK Biobank's cine images on its Research Analysis Platform, in one job that streams the zips from the project.
#
#   dx upload rap_extract.sh cmr_planes-1.0.0-py3-none-any.whl --path /scripts/
#   dx run swiss-army-knife -iin=/scripts/rap_extract.sh -iin=/scripts/cmr_planes-1.0.0-py3-none-any.whl \
#       -icmd='bash rap_extract.sh' --instance-type mem1_ssd1_v2_x36 --priority high --destination /derived/cmr-1 --yes
#
# The project is mounted read-only under /mnt/project. Zips are streamed from there, never unpacked and never copied. New files in the
# working folder go to --destination at the end: out.h5 and out.shards, about 1 MB per subject.
#
# To resume a job that did not finish, or to add new subjects, name the folder of the earlier job; its shards are copied first:
#
#   ... -icmd='bash rap_extract.sh /derived/cmr-1' ... --destination /derived/cmr-2
#
# Needs Python 3.11 or newer and access to a package index for the libraries; else give an image with cmr-planes in it
# (-iimage_file=...). Without a wheel in the working folder, cmr-planes itself comes from the index too.
set -euo pipefail

earlier=${1:-}
sources="/mnt/project/Bulk/Heart MRI" # 'Long axis' is field 20208, 'Short axis' 20209, each in folders 10, 11, ...

python3 -m venv "$HOME/cmr" # outside the working folder, so that it is not kept
wheel=$(find . -maxdepth 1 -name 'cmr_planes-*.whl' | head -n 1)
"$HOME/cmr/bin/pip" install --quiet "${wheel:-cmr-planes}"

if [ -n "$earlier" ]; then
    cp -r "/mnt/project$earlier"/out.* .
fi

# A job that fails keeps nothing. So it succeeds, with the finished shards and a file that says that they are not all.
if ! "$HOME/cmr/bin/cmr-planes" extract --shard-size 128 "$sources/Long axis" "$sources/Short axis" out.h5; then
    echo "The run did not finish; the job's log says why. Resume from this folder." > UNFINISHED.txt
fi
rm -rf out.shards/*.part
