/* SPDX-License-Identifier: MIT */
/* host_gpus.h - the GPUs that this machine has, as NVIDIA's kernel driver lists them: a directory
 * for each, named by its PCI address, with a file "information" in which "GPU UUID" is its
 * identifier.  They are given in the order of the addresses, which is that of nvidia-smi.
 * Errors: none; a machine without the driver has no GPUs.  One whose identifier the driver does not
 * know yet ("GPU-????...") is left out and logged.
 * Ownership: the document is the caller's. */
#pragma once
#include "base/json.h"

/* An array of at most GPUS_MAX texts; `directory` is /proc/driver/nvidia/gpus. */
struct json *host_gpus(const char *directory);
