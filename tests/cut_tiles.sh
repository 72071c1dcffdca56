#!/bin/sh
# Cuts labelled colour tiles from the pictures that lie in a folder: the class is the picture. The same
# files every time: FOLDER/folder/{train,test}/CLASS/*.jpg, and as FOLDER/shards/*.tar.
#
#   tests/cut_tiles.sh CUT_TILES PICTURES FOLDER SIZE ROWS [TILES_OF_A_SHARD]
#
# CUT_TILES is the program build/cpu/tests/cut_tiles; tests/photographs.sh fetches photographs.
set -eu
[ $# -eq 5 ] || [ $# -eq 6 ] || { sed -n '5s/^# *//p' "$0" >&2; exit 2; }
program=$1 pictures=$2 folder=$3 size=$4 rows=$5 of_a_shard=${6:-1000}
rm -rf "$folder/folder" "$folder/shards"
mkdir -p "$folder/shards"
for picture in "$pictures"/*.*; do
    # A photograph may lie there in several sizes: the first is taken, the others would be its twins.
    class=$(basename "${picture%.*}" | sed 's/_[0-9]*x[0-9]*$//')
    [ ! -e "$folder/folder/train/$class" ] || continue
    mkdir -p "$folder/folder/train/$class" "$folder/folder/test/$class"
    "$program" "$picture" "$size" "$rows" "$folder/folder/train/$class" "$folder/folder/test/$class"
done
# In the order of the folder, which makes a run on shards the same run.
python3 - "$folder" "$of_a_shard" <<'END'
import io, os, sys, tarfile
folder, of_a_shard = sys.argv[1], int(sys.argv[2])
for part, name in (("train", "train"), ("test", "val")):
    top = os.path.join(folder, "folder", part)
    files = [(label, os.path.join(top, of_class, file))
             for label, of_class in enumerate(sorted(os.listdir(top)))
             for file in sorted(os.listdir(os.path.join(top, of_class)))]
    for shard in range(0, len(files), of_a_shard):
        path = "%s/shards/%s-%03d.tar" % (folder, name, shard // of_a_shard)
        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
            for number, (label, file) in enumerate(files[shard:shard + of_a_shard], shard):
                for ending, data in ((".jpg", open(file, "rb").read()), (".cls", b"%d" % label)):
                    member = tarfile.TarInfo("%08d%s" % (number, ending))
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
    print("cut_tiles.sh: %d tiles for %s" % (len(files), part))
END
