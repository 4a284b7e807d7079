/* cmd/host/file_io.h: the file members of struct rg_io as system calls. Used by the daemon, the tools and tests; the
 * simulator has its own (tests/sim/simdisk.h). */
#ifndef REGENT_CMD_HOST_FILE_IO_H
#define REGENT_CMD_HOST_FILE_IO_H

#include "raft/io.h"

/** Fill mkdir..list; the other members are left as they are. Keeps no state: thread-safe, nothing to free. */
void rg_file_io_fill(struct rg_io *io);

#endif
