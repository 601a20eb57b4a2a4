# Keep the package from making a cluster of its own and starting it.
install -d /etc/postgresql-common/createcluster.d
echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/mirrorfleet.conf
