#include "net/interfaces.h"

#include "net/aws/aws.h"
#include "net/v1/v1.h"

const struct rg_interface *const rg_interfaces[RG_INTERFACES] = {&rg_aws_interface, &rg_v1_interface};
