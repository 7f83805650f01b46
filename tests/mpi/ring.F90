! A ring in Fortran, through each of the three ways to reach MPI: -DUSE_MPIF, -DUSE_MPI or
! -DUSE_F08. Every call must be counted once. Writes $EXPECT_DIR/RANK.json as expect.h does.
program ring
#if defined(USE_F08)
  use mpi_f08
  implicit none
  type(MPI_Request) :: requests(2)
  type(MPI_Comm) :: grid
  type(MPI_Datatype) :: column
  type(MPI_Status) :: got
#elif defined(USE_MPI)
  use mpi
  implicit none
  integer :: requests(2), grid, column, got(MPI_STATUS_SIZE)
#else
  implicit none
  include 'mpif.h'
  integer :: requests(2), grid, column, got(MPI_STATUS_SIZE)
#endif
  integer, parameter :: rounds = 10
  integer :: rank, size, left, right, i, code, where, bytes, there(1), counts(64), places(64)
  double precision :: out(100), in(100), total(1), mine(1), all(64)
  character(len=512) :: folder, name

  call MPI_Init(code)
  call MPI_Comm_rank(MPI_COMM_WORLD, rank, code)
  call MPI_Comm_size(MPI_COMM_WORLD, size, code)
  right = mod(rank + 1, size)
  left = mod(rank + size - 1, size)
  out = rank
  do i = 1, rounds
    call MPI_Irecv(in, 100, MPI_DOUBLE_PRECISION, left, 1, MPI_COMM_WORLD, requests(1), code)
    call MPI_Isend(out, 50, MPI_DOUBLE_PRECISION, right, 1, MPI_COMM_WORLD, requests(2), code)
    call MPI_Waitall(2, requests, MPI_STATUSES_IGNORE, code)
  end do
  mine(1) = rank
  call MPI_Allreduce(mine, total, 1, MPI_DOUBLE_PRECISION, MPI_SUM, MPI_COMM_WORLD, code)
  call MPI_Barrier(MPI_COMM_WORLD, code)

  ! For these the libraries of some makes call functions of their own: the communicator's
  ! size for the counts, the dimensions of a grid, the handles' numbers for all.
  counts = 1
  places = [(i, i = 0, 63)]
  call MPI_Allgatherv(mine, 1, MPI_DOUBLE_PRECISION, all, counts, places, &
                      MPI_DOUBLE_PRECISION, MPI_COMM_WORLD, code)
  call MPI_Type_vector(2, 1, 2, MPI_DOUBLE_PRECISION, column, code)
  call MPI_Type_commit(column, code)
  call MPI_Type_size(column, bytes, code)
  call MPI_Sendrecv(out, 1, column, right, 2, in, 2, MPI_DOUBLE_PRECISION, left, 2, &
                    MPI_COMM_WORLD, got, code)
  call MPI_Get_count(got, MPI_DOUBLE_PRECISION, i, code)
  call MPI_Type_free(column, code)
  call MPI_Cart_create(MPI_COMM_WORLD, 1, [size], [.true.], .false., grid, code)
  there = 0
  call MPI_Cart_rank(grid, there, where, code)
  call MPI_Cart_coords(grid, rank, 1, there, code)
  call MPI_Comm_free(grid, code)

  call get_environment_variable('EXPECT_DIR', folder)
  write (name, '(a,a,i0,a)') trim(folder), '/', rank, '.json'
  open (unit=10, file=trim(name))
  write (10, '(a,i0,a,i0,a,i0,a,i0,a,i0,a)') &
    '{"mpi_comm_rank":[1,0,0],"mpi_comm_size":[1,0,0],"mpi_irecv":[', rounds, ',0,', &
    rounds*400, '],"mpi_isend":[', rounds, ',', rounds*400, ',0],"mpi_waitall":[', rounds, &
    ',0,0],"mpi_allreduce":[1,8,8],"mpi_barrier":[1,0,0],"mpi_finalize":[1,0,0],'
  write (10, '(a,i0,a)') '"mpi_allgatherv":[1,8,', 8*size, '],"mpi_type_vector":[1,0,0],'
  write (10, '(a)') '"mpi_type_commit":[1,0,0],"mpi_type_size":[1,0,0],' // &
    '"mpi_sendrecv":[1,16,16],"mpi_get_count":[1,0,0],"mpi_type_free":[1,0,0],' // &
    '"mpi_cart_create":[1,0,0],"mpi_cart_rank":[1,0,0],"mpi_cart_coords":[1,0,0],' // &
    '"mpi_comm_free":[1,0,0]}'
  close (10)
  call MPI_Finalize(code)
end program ring
