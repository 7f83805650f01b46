"""What each MPI function moves, and how it is treated: the one table of the MPI exporter.

A line of MOVES: function names (without MPI_, large-count variants `_c` included by
themselves), bytes handed to the call (out), bytes gotten from it (in), and how the
completion is known. The expressions are C over the parameters' names and the helpers of
volume.h. A function not named here moves no bytes and is counted and timed all the same.

`in` may also be
  STATUS        as the call's own status says, for blocking receives and reads
  TRACK         as the status of the wait or test that completes `request` says
`out` may be STATUS for blocking writes.
`how`:
  now           credited when the call returns
  persistent    remembered with `request`, credited each time it is started
  persistent-in remembered; `in` is credited by the completion of each start
Bytes are always credited to the function that named the buffer. MPI_Isendrecv is credited
with its whole receive buffer: MPICH completes it without a word in the status.
"""

MOVES = """
Send Bsend Rsend Ssend Isend Ibsend Irsend Issend | p2p(dest, bytes(count, datatype)) | 0 | now
Recv Mrecv                     | 0 | STATUS | now
Irecv Imrecv                   | 0 | TRACK | now
Sendrecv                       | p2p(dest, bytes(sendcount, sendtype)) | STATUS | now
Sendrecv_replace               | p2p(dest, bytes(count, datatype)) | STATUS | now
Isendrecv                      | p2p(dest, bytes(sendcount, sendtype)) | p2p(source, bytes(recvcount, recvtype)) | now
Isendrecv_replace              | p2p(dest, bytes(count, datatype)) | p2p(source, bytes(count, datatype)) | now
Send_init Bsend_init Rsend_init Ssend_init | p2p(dest, bytes(count, datatype)) | 0 | persistent
Recv_init                      | 0 | TRACK | persistent-in
Psend_init                     | p2p(dest, partitions * bytes(count, datatype)) | 0 | persistent
Precv_init                     | 0 | p2p(dest, partitions * bytes(count, datatype)) | persistent-in

Bcast                          | rooted(comm, root) ? bytes(count, datatype) : 0 | receives_from(comm, root) ? bytes(count, datatype) : 0 | coll
Reduce                         | sends_to(comm, root) ? bytes(count, datatype) : 0 | rooted(comm, root) ? bytes(count, datatype) : 0 | coll
Allreduce Scan                 | bytes(count, datatype) | bytes(count, datatype) | coll
Exscan                         | bytes(count, datatype) | rank_of(comm) > 0 ? bytes(count, datatype) : 0 | coll
Reduce_local                   | bytes(count, datatype) | bytes(count, datatype) | now
Reduce_scatter                 | sum_counts(recvcounts, size_of(comm)) * type_size(datatype) | recvcounts[rank_of(comm)] * type_size(datatype) | coll
Reduce_scatter_block           | size_of(comm) * bytes(recvcount, datatype) | bytes(recvcount, datatype) | coll
Allgather                      | in_place(sendbuf) ? bytes(recvcount, recvtype) : bytes(sendcount, sendtype) | peers_of(comm) * bytes(recvcount, recvtype) | coll
Allgatherv                     | in_place(sendbuf) ? recvcounts[rank_of(comm)] * type_size(recvtype) : bytes(sendcount, sendtype) | sum_counts(recvcounts, peers_of(comm)) * type_size(recvtype) | coll
Gather                         | !sends_to(comm, root) ? 0 : in_place(sendbuf) ? bytes(recvcount, recvtype) : bytes(sendcount, sendtype) | rooted(comm, root) ? peers_of(comm) * bytes(recvcount, recvtype) : 0 | coll
Gatherv                        | !sends_to(comm, root) ? 0 : in_place(sendbuf) ? recvcounts[rank_of(comm)] * type_size(recvtype) : bytes(sendcount, sendtype) | rooted(comm, root) ? sum_counts(recvcounts, peers_of(comm)) * type_size(recvtype) : 0 | coll
Scatter                        | rooted(comm, root) ? peers_of(comm) * bytes(sendcount, sendtype) : 0 | !sends_to(comm, root) ? 0 : in_place(recvbuf) ? bytes(sendcount, sendtype) : bytes(recvcount, recvtype) | coll
Scatterv                       | rooted(comm, root) ? sum_counts(sendcounts, peers_of(comm)) * type_size(sendtype) : 0 | !sends_to(comm, root) ? 0 : in_place(recvbuf) ? sendcounts[rank_of(comm)] * type_size(sendtype) : bytes(recvcount, recvtype) | coll
Alltoall                       | peers_of(comm) * (in_place(sendbuf) ? bytes(recvcount, recvtype) : bytes(sendcount, sendtype)) | peers_of(comm) * bytes(recvcount, recvtype) | coll
Alltoallv                      | in_place(sendbuf) ? sum_counts(recvcounts, peers_of(comm)) * type_size(recvtype) : sum_counts(sendcounts, peers_of(comm)) * type_size(sendtype) | sum_counts(recvcounts, peers_of(comm)) * type_size(recvtype) | coll
Alltoallw                      | in_place(sendbuf) ? sum_typed(recvcounts, recvtypes, peers_of(comm)) : sum_typed(sendcounts, sendtypes, peers_of(comm)) | sum_typed(recvcounts, recvtypes, peers_of(comm)) | coll
Neighbor_allgather             | bytes(sendcount, sendtype) * (degree_out(comm) > 0) | degree_in(comm) * bytes(recvcount, recvtype) | coll
Neighbor_allgatherv            | bytes(sendcount, sendtype) * (degree_out(comm) > 0) | near_counts(recvcounts, comm, places_in(comm)) * type_size(recvtype) | coll
Neighbor_alltoall              | degree_out(comm) * bytes(sendcount, sendtype) | degree_in(comm) * bytes(recvcount, recvtype) | coll
Neighbor_alltoallv             | near_counts(sendcounts, comm, places_out(comm)) * type_size(sendtype) | near_counts(recvcounts, comm, places_in(comm)) * type_size(recvtype) | coll
Neighbor_alltoallw             | near_typed(sendcounts, sendtypes, comm, places_out(comm)) | near_typed(recvcounts, recvtypes, comm, places_in(comm)) | coll

Put Rput Accumulate Raccumulate | p2p(target_rank, bytes(origin_count, origin_datatype)) | 0 | now
Get Rget                       | 0 | p2p(target_rank, bytes(origin_count, origin_datatype)) | now
Get_accumulate Rget_accumulate | p2p(target_rank, no_op(op) ? 0 : bytes(origin_count, origin_datatype)) | p2p(target_rank, bytes(result_count, result_datatype)) | now
Fetch_and_op                   | p2p(target_rank, no_op(op) ? 0 : type_size(datatype)) | p2p(target_rank, type_size(datatype)) | now
Compare_and_swap               | p2p(target_rank, 2 * type_size(datatype)) | p2p(target_rank, type_size(datatype)) | now

File_read File_read_all File_read_at File_read_at_all File_read_shared File_read_ordered | 0 | STATUS | now
File_read_all_end File_read_at_all_end File_read_ordered_end | 0 | STATUS | now
File_iread File_iread_all File_iread_at File_iread_at_all File_iread_shared | 0 | TRACK | now
File_write File_write_all File_write_at File_write_at_all File_write_shared File_write_ordered | STATUS | 0 | now
File_write_all_begin File_write_at_all_begin File_write_ordered_begin | bytes(count, datatype) | 0 | now
File_iwrite File_iwrite_all File_iwrite_at File_iwrite_at_all File_iwrite_shared | bytes(count, datatype) | 0 | now
"""

# Functions that only look up local state: always counted, timed by sampling (sampling.h).
LOCAL = """
Comm_rank Comm_size Comm_test_inter Comm_remote_size Comm_compare Comm_get_attr Comm_set_attr Attr_get
Comm_get_name Comm_get_parent Comm_get_errhandler Comm_set_errhandler Comm_group
Group_rank Group_size Group_compare Group_translate_ranks
Wtime Wtick Initialized Finalized Is_thread_main Query_thread Get_version
Type_size Type_size_x Type_get_extent Type_get_extent_x Type_get_true_extent Type_get_true_extent_x Type_get_envelope
Type_extent Type_lb Type_ub Type_get_name Type_get_attr
Get_count Get_elements Get_elements_x Get_address Address Aint_add Aint_diff
Status_set_elements Status_set_elements_x Status_set_cancelled Test_cancelled Status_c2f Status_f2c
Op_commutative Topo_test Cart_rank Cart_coords Cart_get Cart_shift Cartdim_get Graphdims_get
Graph_neighbors_count Dist_graph_neighbors_count Dist_graph_neighbors Graph_neighbors
Win_get_attr Win_get_group Win_get_name File_get_view File_get_size File_get_amode File_get_atomicity
File_get_group File_get_info File_get_position File_get_type_extent File_get_byte_offset
Error_class Error_string Pcontrol Info_get Info_get_nkeys Info_get_nthkey Info_get_valuelen
Comm_c2f Comm_f2c Type_c2f Type_f2c Group_c2f Group_f2c Request_c2f Request_f2c Op_c2f Op_f2c
Win_c2f Win_f2c File_c2f File_f2c Info_c2f Info_f2c Errhandler_c2f Errhandler_f2c Message_c2f Message_f2c
"""

# Functions that are brief when there is nothing to wait for: timed by sampling where a
# thread does nothing else. Those of COMPLETE are of them.
BRIEF = """
Send Bsend Rsend Ssend Isend Ibsend Irsend Issend Recv Irecv Mrecv Imrecv
Sendrecv Sendrecv_replace Isendrecv Isendrecv_replace
Probe Iprobe Mprobe Improbe Request_get_status Pready Pready_range Pready_list Parrived
Put Get Accumulate Get_accumulate Fetch_and_op Compare_and_swap
Rput Rget Raccumulate Rget_accumulate Win_sync Pack Unpack
"""

# Functions written by hand in completion.h's manner: they complete or start requests.
COMPLETE = {
    "Wait": "one", "Test": "one_flag", "Waitany": "any", "Testany": "any_flag",
    "Waitall": "all", "Testall": "all_flag", "Waitsome": "some", "Testsome": "some",
    "Start": "start", "Startall": "startall", "Request_free": "free", "Cancel": "cancel",
}


def moves():
    """name -> (out, in, how), with I..., ..._init and ..._c forms of collectives added."""
    table = {}
    for line in MOVES.strip().splitlines():
        if not line.strip():
            continue
        names, out, into, how = (part.strip() for part in line.split("|"))
        for name in names.split():
            if how == "coll":
                table[name] = (out, into, "now")
                table["I" + name[0].lower() + name[1:]] = (out, into, "now")
                table[name + "_init"] = (out, into, "persistent")
            else:
                table[name] = (out, into, how)
    return table


def may_be_of_bindings(name):
    """Whether MPI's Fortran libraries call it on their own account, too: caller.h."""
    return name in LOCAL.split() or name.startswith("Type_")


def timing(name):
    """How the wrapper of a function takes its time: the ending of its enter and leave."""
    if name in LOCAL.split():
        return "_local"
    return "_brief" if name in BRIEF.split() or name in COMPLETE else ""
