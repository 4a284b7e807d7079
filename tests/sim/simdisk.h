/* tests/sim/simdisk.h: a file system in memory with the crash semantics of a bad day, behind the file members of rg_io.
 *
 * One simdisk is one node's disk. What was written is visible at once, but survives a crash for certain only when it was
 * synced: of the writes to a file since its last fdatasync, each 512-byte sector keeps any one of the versions it had
 * (each file draws: nothing, everything, a prefix in time with a torn end, or sector by sector at random), and the size any
 * one of the sizes it had. Creates, renames, unlinks and mkdirs not followed by sync_dir of their directory are lost or
 * kept, each by itself or as a prefix. A failed sync leaves the file's content visible, clean and perhaps not on disk
 * (of a directory: perhaps still pending).
 * Everything follows from the seed; one thread only. */
#ifndef REGENT_SIM_SIMDISK_H
#define REGENT_SIM_SIMDISK_H

#include "base/prng.h"
#include "raft/io.h"

#define SIMDISK_SECTOR_BYTES 512

struct simdisk;

struct simdisk *simdisk_new(uint64_t seed);
/** Nothing may use it afterwards. NULL is fine. */
void simdisk_free(struct simdisk *disk);
/** A second disk with the same files (all of them durable as they are visible now, none open) and faults off. */
struct simdisk *simdisk_clone(const struct simdisk *disk, uint64_t seed);

/**
 * Fill mkdir..list. They find the disk through io->impl, which must point to a struct whose first member is a
 * `struct simdisk *`; where io->impl is NULL it is set to such a place inside the disk.
 */
void simdisk_fill_io(struct simdisk *disk, struct rg_io *io);

/** Power fails: see above. All descriptors are gone (calls on them give RG_EIO, close is ignored). prng NULL: the disk's own. */
void simdisk_crash(struct simdisk *disk, struct rg_prng *prng);
/** The process dies and the machine goes on: descriptors are gone, everything written stays, unsynced as it was. */
void simdisk_kill(struct simdisk *disk);
/** Everything is gone, as on a new disk. */
void simdisk_wipe(struct simdisk *disk);

/* --- faults; all off at first --- */

/** From now on files may grow by this many bytes in all (deleting gives back); then RG_ENOSPACE, after a short write. UINT64_MAX: off. */
void simdisk_full(struct simdisk *disk, uint64_t bytes);
/** The nth fdatasync or sync_dir from now (1: the next) fails with RG_EIO, once. 0: off. */
void simdisk_fail_sync(struct simdisk *disk, unsigned nth);
/** The nth pwrite (allocate, truncate) from now fails with RG_EIO after writing some of its bytes, once. 0: off. */
void simdisk_fail_write(struct simdisk *disk, unsigned nth);
/** The nth pread from now fails with RG_EIO, once. 0: off. */
void simdisk_fail_read(struct simdisk *disk, unsigned nth);
/** Rot: change the bits of `mask` in one byte, on disk and as read. False when there is no such byte. */
bool simdisk_flip(struct simdisk *disk, const char *path, uint64_t offset, uint8_t mask);
/** Flip one random bit of a random non-empty file whose path contains `part` ("": any). False when there is none.
 * Mostly where something is written: a bit among zeros is of little interest.
 * ret_path (256 bytes) and ret_offset may be NULL. prng NULL: the disk's own. */
bool simdisk_flip_random(struct simdisk *disk, const char *part, struct rg_prng *prng, char ret_path[256],
                         uint64_t *ret_offset);

/* --- looking and meddling from outside (durable at once) --- */

bool simdisk_exists(const struct simdisk *disk, const char *path);
/** 0 when missing. */
uint64_t simdisk_size(const struct simdisk *disk, const char *path);
/** Bytes read: fewer at the end of the file. */
size_t simdisk_peek(const struct simdisk *disk, const char *path, uint64_t offset, void *p, size_t n);
/** Write (and create, grow) a file. */
void simdisk_poke(struct simdisk *disk, const char *path, uint64_t offset, const void *p, size_t n);
/** Cut or grow (with zeros). */
void simdisk_resize(struct simdisk *disk, const char *path, uint64_t size);
bool simdisk_remove(struct simdisk *disk, const char *path);
/** Every file (not directory), in a fixed order. */
void simdisk_each(const struct simdisk *disk, void (*each)(void *arg, const char *path, uint64_t size), void *arg);
/** FNV-1a over names, sizes and contents as visible: for trace hashes. */
uint64_t simdisk_hash(const struct simdisk *disk);

struct simdisk_stats {
    uint64_t reads, writes, bytes_written, syncs, dir_syncs, crashes, sectors_lost, names_lost;
};
const struct simdisk_stats *simdisk_stats(const struct simdisk *disk);
/** Which file this is. NULL: none that is open. borrow */
const char *simdisk_path(struct simdisk *disk, int fd);

#endif
