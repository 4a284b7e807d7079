/* net/join/join.h: nodes that come: tokens that let them ask, what they ask, and nodes that come back under another id. Rows in v1.c. */
#ifndef REGENT_NET_JOIN_JOIN_H
#define REGENT_NET_JOIN_JOIN_H

struct rg_call;

/* Without a credential: they bring their own proof. */
void rg_join(struct rg_call *call);
void rg_join_collect(struct rg_call *call);
void rg_rejoin(struct rg_call *call);

/* For administrators. */
void rg_join_tokens_add(struct rg_call *call);
void rg_join_tokens_list(struct rg_call *call);
void rg_join_tokens_revoke(struct rg_call *call);
void rg_nodes_list(struct rg_call *call);
void rg_nodes_approve(struct rg_call *call);
void rg_nodes_withdraw(struct rg_call *call);

#endif
