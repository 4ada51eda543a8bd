#!/usr/bin/env bash
# Train pretext networks for real images without real data: on the positions of a hard synthetic cohort, in SAX and 4Ch; then export them.
#
#   bash synthetic_pretext.sh DIR [SUBJECTS [ITERATIONS [CHANNELS]]]          # 240, 10000 and 32 if not given
#
# DIR/sax and DIR/4ch hold final.pt, config.json, split.json and card.md. Use them for your own images, resampled to the same pixels:
#
#   cmr-train finetune --pretext DIR/sax --people other --data yours.h5 --view sax --mode all --base-channels 32 \
#       --resample 2.0 --rows 128 --columns 128
#
# All subjects are in the training set, since none is a real person. Made for a GPU; a second start resumes the first.
set -euo pipefail

folder=$1
subjects=${2:-240}
iterations=${3:-10000}
channels=${4:-32}

if [ ! -f "$folder/out.h5" ]; then
    cmr-planes phantom "$folder/cohort" -n "$subjects" --hard --seed 1 --frames 8 --overwrite
fi
cmr-planes extract "$folder/cohort/dicom" "$folder/out.h5" --units mm
for view in sax 4ch; do
    cmr-train pretext --data "$folder/out.h5" --view "$view" --out "$folder/run-$view" --resume --fractions 1 0 0 \
        --resample 2.0 --rows 128 --columns 128 --max-cut 0.5 --base-channels "$channels" --batch-size 16 --iterations "$iterations" \
        --loss weighted --augmentation strong --schedule one-cycle --learning-rate 0.003
    cmr-train export "$folder/run-$view" "$folder/$view" --overwrite
done
