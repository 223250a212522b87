package catalog

// extensionNames are functions of extensions that come with PostgreSQL 15, and of PostGIS 3.3,
// whose overloads all are immutable or, after the bar, stable; of pgcrypto and uuid-ossp also those
// that give random values. Functions that types and indexes are made of are mostly left out. They were
// read from pg_proc with each extension created, those of PostGIS from its script.
var extensionNames = map[string]string{
	"citext": `citext citext_cmp citext_eq citext_ge citext_gt citext_hash citext_hash_extended citext_larger citext_le
		citext_lt citext_ne citext_pattern_cmp citext_pattern_ge citext_pattern_gt citext_pattern_le
		citext_pattern_lt citext_smaller citextin citextout | citextsend`,
	"cube": `cube cube_contained cube_contains cube_coord cube_coord_llur cube_dim cube_distance cube_enlarge
		cube_inter cube_is_point cube_ll_coord cube_overlap cube_size cube_subset cube_union cube_ur_coord
		distance_chebyshev distance_taxicab`,
	"earthdistance": `earth earth_box earth_distance gc_to_sec geo_distance latitude ll_to_earth longitude sec_to_gc`,
	"fuzzystrmatch": `difference dmetaphone dmetaphone_alt levenshtein levenshtein_less_equal metaphone soundex
		text_soundex`,
	"hstore": `akeys avals defined each exist exists_all exists_any fetchval hs_concat hs_contained
		hs_contains hstore hstore_hash hstore_hash_extended hstore_to_array hstore_to_json hstore_to_json_loose
		hstore_to_jsonb hstore_to_jsonb_loose hstore_to_matrix hstore_version_diag isdefined isexists
		populate_record skeys slice slice_array svals tconvert`,
	"intagg": `int_array_aggregate int_array_enum`,
	"intarray": `boolop icount idx intarray_del_elem intarray_push_array intarray_push_elem intset intset_subtract
		intset_union_elem rboolop sort sort_asc sort_desc subarray uniq`,
	"isn": `btean13cmp btisbn13cmp btisbncmp btismn13cmp btismncmp btissn13cmp btissncmp btupccmp hashean13
		hashisbn hashisbn13 hashismn hashismn13 hashissn hashissn13 hashupc is_valid isbn isbn13 ismn ismn13
		isn_weak isneq isnge isngt isnle isnlt isnne issn issn13 make_valid upc`,
	"ltree": `_lt_q_regex _lt_q_rregex _ltq_extract_regex _ltq_regex _ltq_rregex _ltxtq_exec _ltxtq_extract_exec
		_ltxtq_rexec index lca lt_q_regex lt_q_rregex ltq_regex ltq_rregex ltree2text ltree_addltree
		ltree_addtext ltree_isparent ltree_risparent ltree_textadd nlevel subltree subpath text2ltree`,
	"pg_trgm": `show_trgm similarity similarity_dist strict_word_similarity word_similarity | show_limit`,
	"pgcrypto": `armor crypt dearmor decrypt decrypt_iv digest encrypt encrypt_iv gen_random_bytes gen_salt hmac
		pgp_armor_headers pgp_key_id pgp_pub_decrypt pgp_pub_decrypt_bytea pgp_pub_encrypt
		pgp_pub_encrypt_bytea pgp_sym_decrypt pgp_sym_decrypt_bytea pgp_sym_encrypt pgp_sym_encrypt_bytea`,
	"seg": `seg_center seg_contained seg_contains seg_different seg_left seg_lower seg_over_left seg_over_right
		seg_overlap seg_right seg_size seg_upper`,
	"unaccent": ` | unaccent`,
	"uuid-ossp": `uuid_generate_v1 uuid_generate_v1mc uuid_generate_v3 uuid_generate_v4 uuid_generate_v5 uuid_nil
		uuid_ns_dns uuid_ns_oid uuid_ns_url uuid_ns_x500`,
	"postgis": `st_3dclosestpoint st_3ddfullywithin st_3ddistance st_3ddwithin st_3dextent st_3dintersects
		st_3dlength st_3dlineinterpolatepoint st_3dlongestline st_3dmakebox st_3dmaxdistance st_3dperimeter
		st_3dshortestline st_addmeasure st_addpoint st_affine st_angle st_area st_area2d st_asbinary
		st_asencodedpolyline st_asewkb st_asewkt st_asflatgeobuf st_asgeobuf st_asgeojson st_asgml
		st_ashexewkb st_askml st_aslatlontext st_asmarc21 st_asmvt st_asmvtgeom st_assvg st_astext st_astwkb
		st_asx3d st_azimuth st_bdmpolyfromtext st_bdpolyfromtext st_boundary st_boundingdiagonal
		st_box2dfromgeohash st_buffer st_buildarea st_centroid st_chaikinsmoothing st_cleangeometry
		st_clipbybox2d st_closestpoint st_closestpointofapproach st_clusterdbscan st_clusterintersecting
		st_clusterwithin st_collect st_collectionextract st_collectionhomogenize st_combinebbox
		st_concavehull st_contains st_containsproperly st_convexhull st_coorddim st_coveredby st_covers
		st_cpawithin st_crosses st_curvetoline st_delaunaytriangles st_dfullywithin st_difference
		st_dimension st_disjoint st_distance st_distancecpa st_distancesphere st_distancespheroid st_dump
		st_dumppoints st_dumprings st_dumpsegments st_dwithin st_endpoint st_envelope st_equals
		st_estimatedextent st_expand st_extent st_exteriorring st_filterbym st_findextent st_flipcoordinates
		st_force2d st_force3d st_force3dm st_force3dz st_force4d st_forcecollection st_forcecurve
		st_forcepolygonccw st_forcepolygoncw st_forcerhr st_forcesfs st_frechetdistance st_fromflatgeobuf
		st_fromflatgeobuftotable st_geogfromtext st_geogfromwkb st_geographyfromtext st_geohash
		st_geomcollfromtext st_geomcollfromwkb st_geometricmedian st_geometryfromtext st_geometryn
		st_geometrytype st_geomfromewkb st_geomfromewkt st_geomfromgeohash st_geomfromgeojson st_geomfromgml
		st_geomfromkml st_geomfrommarc21 st_geomfromtext st_geomfromtwkb st_geomfromwkb st_gmltosql
		st_hasarc st_hausdorffdistance st_hexagon st_hexagongrid st_interiorringn st_interpolatepoint
		st_intersection st_intersects st_isclosed st_iscollection st_isempty st_ispolygonccw st_ispolygoncw
		st_isring st_issimple st_isvalid st_isvaliddetail st_isvalidreason st_isvalidtrajectory st_length
		st_length2d st_length2dspheroid st_lengthspheroid st_letters st_linecrossingdirection
		st_linefromencodedpolyline st_linefrommultipoint st_linefromtext st_linefromwkb
		st_lineinterpolatepoint st_lineinterpolatepoints st_linelocatepoint st_linemerge
		st_linestringfromwkb st_linesubstring st_linetocurve st_locatealong st_locatebetween
		st_locatebetweenelevations st_longestline st_m st_makebox2d st_makeenvelope st_makeline st_makepoint
		st_makepointm st_makepolygon st_makevalid st_maxdistance st_maximuminscribedcircle st_memcollect
		st_memsize st_memunion st_minimumboundingcircle st_minimumboundingradius st_minimumclearance
		st_minimumclearanceline st_mlinefromtext st_mlinefromwkb st_mpointfromtext st_mpointfromwkb
		st_mpolyfromtext st_mpolyfromwkb st_multi st_multilinefromwkb st_multilinestringfromtext
		st_multipointfromtext st_multipointfromwkb st_multipolyfromwkb st_multipolygonfromtext st_ndims
		st_node st_normalize st_npoints st_nrings st_numgeometries st_numinteriorring st_numinteriorrings
		st_numpatches st_numpoints st_offsetcurve st_orderingequals st_orientedenvelope st_overlaps
		st_patchn st_perimeter st_perimeter2d st_point st_pointfromgeohash st_pointfromtext st_pointfromwkb
		st_pointinsidecircle st_pointm st_pointn st_pointonsurface st_points st_pointz st_pointzm
		st_polyfromtext st_polyfromwkb st_polygon st_polygonfromtext st_polygonfromwkb st_polygonize
		st_project st_quantizecoordinates st_reduceprecision st_relate st_relatematch st_removepoint
		st_removerepeatedpoints st_reverse st_rotate st_rotatex st_rotatey st_rotatez st_scale st_scroll
		st_segmentize st_seteffectivearea st_setpoint st_setsrid st_sharedpaths st_shiftlongitude
		st_shortestline st_simplify st_simplifypolygonhull st_simplifypreservetopology st_simplifyvw st_snap
		st_snaptogrid st_split st_square st_squaregrid st_srid st_startpoint st_subdivide st_summary
		st_swapordinates st_symdifference st_tileenvelope st_touches st_transform st_translate st_transscale
		st_triangulatepolygon st_unaryunion st_union st_voronoilines st_voronoipolygons st_within
		st_wkbtosql st_wkttosql st_wrapx st_x st_xmax st_xmin st_y st_ymax st_ymin st_z st_zmax st_zmflag
		st_zmin`,
}
