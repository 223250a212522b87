-- psql sends its own catalog queries for these.
\d
\d+
\d app.*
\d+ app.customers
\d app.orders
\d app.events
\d app.rich
\d+ app.totals
\d app.tickets
\dS pg_class
\da
\dA
\dAc
\dAf
\dAo btree
\dAp btree
\db
\dc
\dC
\dconfig work_mem
\dd
\dD
\ddp
\dE
\des
\det
\deu
\dew
\df app.*
\df+ lower
\dF
\dFd
\dFp
\dFt
\dg
\dg+
\di
\di app.*
\dl
\dL
\dm
\dn
\dn+
\do =
\dO
\dp
\dPi
\dP
\drds
\dRp
\dRs
\ds
\dt
\dt app.*
\dT
\dT+ app.mood
\du
\dv
\dx
\dx plpgsql
\dX
\dy
\sf pg_catalog.lpad
\sv app.rich
\z app.customers
\l
\encoding
\conninfo
