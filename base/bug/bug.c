#include "base/bug/bug.h"

enum rg_bug rg_bug_planted = RG_BUG_none;
