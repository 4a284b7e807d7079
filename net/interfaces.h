/* net/interfaces.h: what a region serves: for rg_api_config. */
#ifndef REGENT_NET_INTERFACES_H
#define REGENT_NET_INTERFACES_H

#include "net/api/operation.h"

enum { RG_INTERFACES = 2 };
extern const struct rg_interface *const rg_interfaces[RG_INTERFACES];

#endif
